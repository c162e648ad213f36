"""A state dict out of what training programs save: under a key, and with prefixes of wrappers."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

# Where programs put weights, the averaged ones first, since it is those that they evaluate: timm
# and torchvision's references, PyTorch Lightning, the tutorials of PyTorch, BasicSR.
KEYS = (
    *("state_dict_ema", "model_ema", "ema_state_dict", "ema", "params_ema"),
    *("state_dict", "model_state_dict", "model", "net", "params"),
)
SHOWN = 8


@dataclass(frozen=True)
class Found:
    """`key` is where in the file it lay, "" for the whole file."""

    tensors: "dict[str, Tensor]"
    key: str = ""


def find(content: object, key: str | None, where: str) -> Found:
    """The state dict in what a file holds; `key` names one, with dots for what lies deeper.

    Raises UsageError if there is none, with the keys that there are.
    """
    if key is not None:
        part = content
        for name in key.split("."):
            part = part.get(name) if isinstance(part, Mapping) else None
        tensors = _tensors(part)
        if tensors is None:
            raise UsageError(
                f"{where} has no state dict under {key!r}.", f"It has {_listed(content)}."
            )
        return Found(tensors, key)
    tensors = _tensors(content)
    if tensors is not None:
        return Found(tensors)
    found = next(_inside(content), None)
    if found is None:
        raise UsageError(
            f"{where} does not hold a state dict.",
            f"It has {_listed(content)}; [model] weights_key names one of them. Or save it with "
            "torch.save(model.state_dict(), path).",
        )
    return found


def _inside(content: object, path: str = "", deep: int = 2) -> Iterator[Found]:
    if not isinstance(content, Mapping):
        return
    for key in KEYS:
        if key in content:
            at = f"{path}{key}"
            tensors = _tensors(content[key])
            if tensors is not None:
                yield Found(tensors, at)
            elif deep > 1:
                yield from _inside(content[key], f"{at}.", deep - 1)


def _tensors(content: object) -> "dict[str, Tensor] | None":
    import torch

    if not isinstance(content, Mapping) or not content:
        return None
    if not all(isinstance(k, str) and torch.is_tensor(v) for k, v in content.items()):
        return None
    return dict(content)


def _listed(content: object) -> str:
    if not isinstance(content, Mapping):
        return f"a {type(content).__name__}"
    names = [str(name) for name in content]
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")


def without_wrapper(
    state: "dict[str, Tensor]", own: "Mapping[str, Tensor]"
) -> "tuple[dict[str, Tensor], str, list[str]]":
    """(the state dict with the model's own names, the prefix that was stripped, names left out).

    DDP and AveragedModel put `module.` before every name, torch.compile `_orig_mod.`, Lightning the
    name of an attribute, such as `model.`: whatever makes most names the model's own is one.
    Other names are left out only where the model then has all of its tensors.
    """
    best, most = "", sum(name in own for name in state)
    for prefix in _prefixes(state, own):
        hits = sum(n.startswith(prefix) and n.removeprefix(prefix) in own for n in state)
        if hits > most:
            best, most = prefix, hits
    if not best:
        return state, "", []
    mine = {n.removeprefix(best): t for n, t in state.items() if n.startswith(best)}
    others = [name for name in state if not name.startswith(best)]
    if others and own.keys() - mine.keys():
        return state, "", []
    return mine, best, others


def _prefixes(state: "Mapping[str, Tensor]", own: "Mapping[str, Tensor]") -> list[str]:
    """What stands before one of the model's names, the longest first so that few others fit."""
    longest = max(own, key=lambda name: (name.count("."), len(name)), default="")
    return list(
        dict.fromkeys(name[: -len(longest)] for name in state if name.endswith(f".{longest}"))
    )


def harmless() -> AbstractContextManager[Any]:
    """What checkpoints hold beside tensors and what only stores values: arguments of the command
    line, paths, NumPy's numbers. Whatever else a pickle names stays refused."""
    import argparse
    import pathlib

    import numpy as np
    import torch

    numbers = {type(np.dtype(name)) for name in ("float32", "float64", "int32", "int64", "bool")}
    allowed = [argparse.Namespace, pathlib.PosixPath, np.dtype, np._core.multiarray.scalar]  # type: ignore[attr-defined]
    return torch.serialization.safe_globals([*allowed, *numbers])
