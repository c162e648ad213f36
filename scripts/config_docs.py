#!/usr/bin/env python3
"""Writes docs/configuration.md from the models, defaults and docstrings of pipeline/config/.

scripts/config_docs.py            writes it
scripts/config_docs.py --check    exits 1 if it is not up to date
"""

import ast
import inspect
import json
import sys
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pipeline import config

PAGE = Path(__file__).resolve().parent.parent / "docs" / "configuration.md"

HEAD = """\
# Configuration

<!-- Written by scripts/config_docs.py from pipeline/config/; change it there. -->

One file, `pipeline.toml`, describes a model from its source to its bundle. Only `[model]` is
required, with one of `entry`, `torchscript` and `onnx`. An unknown key is an error that names the
nearest known one. Relative paths start at the file's folder. `pipeline init DIR` writes a commented
file with every section.

A key can be set for one run: `--set train.epochs=3`, `--set 'train.optimizer="SGD"'`. The value is
TOML; what is not TOML is taken as a string.

Where a key takes `module:fn`, it names a function of yours: `file.py:fn` beside the configuration,
or `package.module:fn` of an installed package.
"""


def page() -> str:
    """The whole page as Markdown."""
    parts = [HEAD, *table("Top level", config.Config, own_keys(config.Config))]
    for name, field in config.Config.model_fields.items():
        model = section_of(field)
        if model:
            title = f"`[{name}.NAME]`" if tables_of(field) else f"`[{name}]`"
            parts += [*table(title, model, list(model.model_fields))]
        if model is config.NamedInputConfig:
            title, values = "`[inputs.NAME.values]`", config.ValuesConfig
            parts += [*table(title, values, list(values.model_fields))]
        if model is config.VerifyConfig:
            title = "`[verify.tolerances.fp32]`, `fp16`, `int8`, `int4`"
            parts += [*table(title, config.Tolerances, list(config.Tolerances.model_fields))]
    return "\n".join(parts)


def own_keys(model: type[BaseModel]) -> list[str]:
    """The keys of the top level that are not sections."""
    return [
        name
        for name, field in model.model_fields.items()
        if name != "root" and not section_of(field)
    ]


def section_of(field: FieldInfo) -> type[BaseModel] | None:
    """The model of a section, or of each table of a section of tables."""
    kind = tables_of(field) or field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def tables_of(field: FieldInfo) -> type[BaseModel] | None:
    """The model of tables that have names of the user's."""
    if get_origin(field.annotation) is not dict:
        return None
    kind = get_args(field.annotation)[1]
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def config_models() -> set[type[BaseModel]]:
    """Every class of pipeline/config/ that says something of its keys."""
    found: set[type[BaseModel]] = set()
    left: list[type[BaseModel]] = [config.Config, config.Tolerances]
    while left:
        model = left.pop()
        own = (one for one in model.__mro__ if one.__module__.startswith(config.__name__))
        found |= {one for one in own if issubclass(one, BaseModel)}
        for field in model.model_fields.values():
            for kind in (field.annotation, *get_args(field.annotation)):
                if isinstance(kind, type) and issubclass(kind, BaseModel) and kind not in found:
                    left.append(kind)
    return found


def table(title: str, model: type[BaseModel], names: list[str]) -> list[str]:
    meanings = docstrings(model)
    about = "" if model is config.Config else f"{inspect.cleandoc(model.__doc__ or '')}\n"
    rows = [
        f"| `{model.model_fields[name].alias or name}` | {cell(kind_of(model, name))} "
        f"| {default_of(model.model_fields[name])} "
        f"| {cell(meanings[name])} |"
        for name in names
    ]
    head = ["| key | type | default | meaning |", "|---|---|---|---|"]
    return [f"## {title}\n", *([about] if about.strip() else []), *head, *rows, ""]


def docstrings(model: type[BaseModel]) -> dict[str, str]:
    """The string behind each field, its own or inherited. Raises ValueError for one without."""
    found: dict[str, str] = {}
    for base in reversed([one for one in model.__mro__ if one in config_models()]):
        (tree,) = ast.parse(inspect.getsource(base)).body
        assert isinstance(tree, ast.ClassDef)
        for node, behind in zip(tree.body, tree.body[1:], strict=False):
            if isinstance(node, ast.AnnAssign) and isinstance(behind, ast.Expr):
                found[ast.unparse(node.target)] = " ".join(ast.literal_eval(behind.value).split())
    sections = {name for name, field in model.model_fields.items() if section_of(field)}
    silent = model.model_fields.keys() - found.keys() - sections - {"root"}
    if silent:
        raise ValueError(f"{model.__name__} says nothing of {', '.join(sorted(silent))}")
    return found


def kind_of(model: type[BaseModel], name: str) -> str:
    """A field's type in the words of TOML, with its limits."""
    return words(model.model_json_schema(by_alias=False)["properties"][name])


def words(spec: dict[str, Any]) -> str:
    """A JSON schema in words."""
    if "anyOf" in spec:
        return " or ".join(words(kind) for kind in spec["anyOf"] if kind != {"type": "null"})
    if "$ref" in spec:
        return "table"
    if "enum" in spec:
        return ", ".join(code(value) for value in spec["enum"])
    if spec["type"] == "array":
        parts = spec.get("prefixItems")
        return f"{len(parts)} × {words(parts[0])}" if parts else f"list of {words(spec['items'])}"
    plain = {"object": "table", "boolean": "true, false"}.get(spec["type"], spec["type"])
    bounds = {"exclusiveMinimum": "above", "minimum": "at least", "maximum": "at most"}
    return ", ".join(
        [plain, *(f"{word} {spec[key]:g}" for key, word in bounds.items() if key in spec)]
    )


def default_of(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    return "–" if field.default in (None, "") else code(field.default)


def code(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, tuple):
        value = list(value)
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> int:
    text = page()
    if "--check" in sys.argv[1:]:
        current = PAGE.read_text(encoding="utf-8") if PAGE.is_file() else ""
        if current != text:
            sys.stderr.write(f"{PAGE.name} is not up to date: run scripts/config_docs.py\n")
            return 1
        return 0
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
