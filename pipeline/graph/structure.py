"""What models take and give besides single tensors: tuples, dicts, dataclasses, and these nested.

Each tensor has a path: the keys, fields and places that lead to it, `past.0.key`. A graph has no
structure, so a path is the name of an input or output.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from pipeline.errors import UsageError

Leaf = tuple[str, Tensor]


def leaves(given: object) -> list[Leaf]:
    """The tensors of what a model returned and their paths, in order. None is nothing, and a plain
    number a tensor without axes. Raises UsageError where there is anything else, or no tensor."""
    found = list(_walk(given, ""))
    if not any(isinstance(value, Tensor) for _, value in found):
        raise UsageError(
            f"The model returned {'nothing' if given is None else f'no tensor: {given!r:.60}'}.",
            "Return a tensor, or a tuple or dict of tensors; [model] entry may wrap the model.",
        )
    # Unlike torch.tensor, torch.full is nothing that a tracer warns of.
    return [(path, v if isinstance(v, Tensor) else torch.full((), v)) for path, v in found]


def is_named(given: object) -> bool:
    """Whether its parts have names of their own."""
    return isinstance(given, Mapping) or _is_record(given) or hasattr(given, "_fields")


def is_flat(given: object) -> bool:
    """Whether it is a tensor, or a tuple, list or dict of nothing but tensors."""
    values = list(given.values()) if isinstance(given, Mapping) else given
    if isinstance(values, list | tuple):
        return all(isinstance(value, Tensor) for value in values)
    return isinstance(values, Tensor)


def nested(names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    """Values by their paths as the dict that they come from; numbers are places in a tuple."""
    tree: dict[str, Any] = {}
    for name, value in zip(names, values, strict=True):
        *inner, last = name.split(".")
        branch = tree
        for part in inner:
            branch = branch.setdefault(part, {})
        branch[last] = value
    return {key: _with_tuples(value) for key, value in tree.items()}


def _with_tuples(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    parts = {key: _with_tuples(inner) for key, inner in value.items()}
    if list(parts) == [str(place) for place in range(len(parts))]:
        return tuple(parts.values())
    return parts


def _walk(value: Any, path: str) -> Iterator[tuple[str, Tensor | float]]:
    if isinstance(value, Tensor | bool | int | float):
        yield path, value
    elif value is not None:
        for key, inner in _parts(value, path):
            yield from _walk(inner, f"{path}.{key}" if path else str(key))


def _parts(value: Any, path: str) -> Iterator[tuple[object, Any]]:
    """What lies in it, by key, field or place."""
    if isinstance(value, Mapping):
        yield from value.items()
    elif _is_record(value):
        yield from ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
    elif hasattr(value, "_fields"):  # a named tuple
        yield from zip(value._fields, value, strict=True)
    elif isinstance(value, list | tuple):
        yield from enumerate(value)
    elif _is_cache(value):
        yield from enumerate({"key": one.keys, "value": one.values} for one in value.layers)
    else:
        raise UsageError(
            f"The model returned a {type(value).__name__}{f' as {path}' if path else ''}.",
            "Return a tensor, or a tuple or dict of tensors; [model] entry may wrap the model.",
        )


def _is_record(value: object) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def _is_cache(value: Any) -> bool:
    """Keys and values of attention by layer, as Hugging Face's transformers keep them."""
    layers = getattr(value, "layers", None)
    return isinstance(layers, list) and all(
        isinstance(getattr(one, name, None), Tensor)
        for one in layers
        for name in ("keys", "values")
    )
