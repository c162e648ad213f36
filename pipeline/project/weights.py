"""Weights as safetensors: no pickled code, tied tensors stored once."""

import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import DamagedError, UsageError, brief
from pipeline.project.checkpoints import Found, find, harmless, without_wrapper

if TYPE_CHECKING:
    from torch import Tensor, nn

WEIGHTS = "weights.safetensors"

_POINTER = b"version https://git-lfs"
_ZIP = b"PK\x03\x04"
_SAVE_ALONE = "Save the weights alone: torch.save(model.state_dict(), path), or as safetensors."


def save_weights(module: "nn.Module", path: Path) -> None:
    """Writes the state dict; a tensor that several names share is written once."""
    from safetensors.torch import save

    path.write_bytes(save(_unshared(module)))


def load_weights(module: "nn.Module", path: Path, key: str | None = None) -> str | None:
    """Fills a module from a .safetensors file, or from what torch has saved: a state dict, or a
    checkpoint with one in it (`key` names it). Gives a sentence about what was taken of the file,
    None where that is all of it as it is.

    Raises UsageError that names the missing, unexpected and misshapen tensors, DamagedError if
    the file cannot be read.
    """
    found = _read(path, key)
    own = module.state_dict()
    state, prefix, others = without_wrapper(found.tensors, own)
    shared = _aliases(module)
    for name, first in shared.items():
        if name not in state and first in state:
            state[name] = state[first]
    missing = sorted(
        name for name in own.keys() - state.keys() if not name.endswith("num_batches_tracked")
    )
    unexpected = sorted(state.keys() - own.keys())
    misshapen = [
        f"{name} is {tuple(state[name].shape)}, the model has {tuple(own[name].shape)}"
        for name in sorted(own.keys() & state.keys())
        if own[name].shape != state[name].shape
    ]
    if missing or unexpected or misshapen:
        parts = [_some("missing", missing), _some("unexpected", unexpected), *misshapen[:3]]
        raise UsageError(
            f"{path} does not fit the model: {'; '.join(part for part in parts if part)}.",
            "Check [model] entry and args: the weights were made by another architecture.",
        )
    # Modules that changed their layout once ask for its version: names and shapes are of this one.
    versioned: OrderedDict[str, Tensor] = OrderedDict(state)
    versioned._metadata = own._metadata  # type: ignore[attr-defined]
    module.load_state_dict(versioned, strict=False)  # the names were compared above
    floats = (tensor.dtype for tensor in state.values() if tensor.is_floating_point())
    half = sorted({str(dtype).removeprefix("torch.") for dtype in floats if dtype.itemsize == 2})
    parts = [
        f"took {found.key}" if found.key else "",
        f"stripped '{prefix}'" if prefix else "",
        _some("left out", others),
        f"{' and '.join(half)} taken as the model's own type" if half else "",
    ]
    return ", ".join(part for part in parts if part) or None


def read_weights(path: Path, key: str | None = None) -> "dict[str, Tensor]":
    """The tensors of a file by name, on the CPU. No pickled code is run."""
    return _read(path, key).tensors


def _read(path: Path, key: str | None) -> Found:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise UsageError(f"There is no weights file {path}.", "Check [model] weights.")
    check_content(path)
    if path.suffix == ".safetensors":
        try:
            return Found(load_file(path))
        except (SafetensorError, OSError) as error:
            raise DamagedError(f"{path} is not a readable safetensors file: {error}.") from error
    try:
        with harmless():
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise DamagedError(f"{path} {_unreadable(path, error)}.", _SAVE_ALONE) from error
    return find(content, key, str(path))


def check_content(path: Path) -> None:
    """Raises DamagedError for a file that is empty, or a Git LFS pointer to what it names."""
    with path.open("rb") as file:
        start = file.read(len(_POINTER))
    if not start:
        raise DamagedError(f"{path} is empty.", "Copy or save the file again.")
    if start == _POINTER:
        raise DamagedError(
            f"{path} is a Git LFS pointer, not the file that it stands for.", "Run: git lfs pull"
        )


def _unreadable(path: Path, error: Exception) -> str:
    """What is wrong with a file that torch does not load as weights alone."""
    with path.open("rb") as file:
        archive = file.read(4) == _ZIP
    if archive and not zipfile.is_zipfile(path):
        return "is damaged: an archive of torch's whose end is missing, as in a download cut short"
    if archive and not _is_torchs(path):
        return "is a zip archive, but not one that torch has saved"
    if isinstance(error, pickle.UnpicklingError) and "GLOBAL " in str(error):
        more = "holds more than tensors, such as a whole pickled model"
        return f"{more}, and cannot be loaded without running code from it"
    return f"cannot be loaded as weights saved by torch ({brief(error)})"


def _is_torchs(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("data.pkl") for name in archive.namelist())


def _aliases(module: "nn.Module") -> dict[str, str]:
    """Names of tensors that share memory with an earlier one, and that earlier name."""
    seen: dict[tuple[int, tuple[int, ...], tuple[int, ...]], str] = {}
    aliases = {}
    for name, tensor in module.state_dict().items():
        if tensor.numel() == 0:
            continue
        place = (tensor.data_ptr(), tuple(tensor.shape), tensor.stride())
        first = seen.setdefault(place, name)
        if first != name:
            aliases[name] = first
    return aliases


def _unshared(module: "nn.Module") -> "dict[str, Tensor]":
    aliases = _aliases(module)
    return {
        name: tensor.detach().cpu().contiguous().clone()
        for name, tensor in module.state_dict().items()
        if name not in aliases
    }


def _some(word: str, names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{word} {', '.join(names[:3])}{more}" if names else ""
