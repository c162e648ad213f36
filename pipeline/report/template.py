"""The templates, filled in."""

from importlib import resources
from typing import Any

HOME = resources.files("pipeline.report") / "templates"


def render(name: str, context: dict[str, Any]) -> str:
    """Every value is escaped but the plots; a name that the context lacks is an error."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        loader=FunctionLoader(lambda file: (HOME / file).read_text("utf-8")),
    )
    style = (HOME / "style.css").read_text("utf-8")
    return environment.get_template(name).render(style=style, **context)
