"""What the classes of this program are called in the files that it writes."""

from collections.abc import Callable
from typing import TypeVar

Named = TypeVar("Named")


def named_in_files(name: str) -> Callable[[Named], Named]:
    """What TorchScript calls a class or function in the files that it writes: where that lies in
    this program's source is no matter of theirs, and moving it changes no byte."""

    def mark(what: Named) -> Named:
        what._jit_override_qualname = f"__torch__.pipeline.{name}"  # type: ignore[attr-defined]
        return what

    return mark
