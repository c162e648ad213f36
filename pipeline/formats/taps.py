"""Tensors inside a graph, and which of one graph is which of another: by name and by position."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from pipeline.errors import PipelineError, UsageError, brief

POST = "post"  # the module of the output's activation
CHAIN = 4  # operators behind a layer that may be fused into it: norm, activation ...

# One operator, as torch.export, TorchScript, eager PyTorch and ONNX call it.
_ALIASES = {
    "conv": "convolution conv1d conv2d conv3d conv_transpose2d convtranspose _convolution",
    "linear": "addmm mm linear gemm matmul bmm baddbmm linear_dynamic",
    "norm": "native_batch_norm batch_norm getitem _native_batch_norm_legit_no_training "
    "cudnn_batch_norm batchnormalization",
    "layernorm": "native_layer_norm layer_norm layernormalization",
    "softmax": "softmax _softmax",
    "clip": "clamp clip hardtanh clamp_min relu6",
    "upsample": "_upsample_bilinear2d_aa resize",
    "pool": "adaptive_avg_pool2d mean reducemean globalaveragepool avg_pool2d averagepool",
    "maxpool": "max_pool2d max_pool2d_with_indices maxpool",
}
_KIND = {name: kind for kind, names in _ALIASES.items() for name in names.split()}

# They hand values on: a layer of their own says nothing.
_HANDS_ON = (
    "view reshape flatten squeeze unsqueeze permute transpose t contiguous detach dropout "
    "identity expand alias clone to _to_copy cast slice select unsafe_view _unsafe_view "
    "as_strided _reshape_alias copy_ lift_fresh empty quantize_per_tensor dequantize "
    "quantizelinear dequantizelinear constant shape _shape_as_tensor feature_dropout zeros "
    "zeros_like constantofshape detach_ view_as "
)
HANDS_ON = frozenset(_HANDS_ON.split())


class NotWalkableError(UsageError):
    """A graph whose tensors cannot be looked at, with what was raised inside it."""


@contextmanager
def inside_graph(what: str) -> Iterator[None]:
    """Whatever torch, ONNX Runtime or the model raises in a call becomes a NotWalkableError, with
    the error's type and first line. Only such a call stands inside."""
    try:
        yield
    except (PipelineError, OSError):
        raise
    except Exception as error:
        raise NotWalkableError(f"{what}: {brief(error)}") from error


@dataclass(frozen=True)
class Tap:
    """One floating-point tensor inside a graph.

    `name` is unique there; `path` the module that computes it (`model.layer1.0.conv1`, "" for the
    outermost), `owner` the one that owns the weights, if it is another; `operator` what computes
    it. `reads` are indices of the taps that it is made of and `size` its bytes in fp32, where they
    are known.
    """

    name: str
    path: str
    operator: str
    reads: tuple[int, ...] = ()
    size: int = 0
    owner: str = ""

    @property
    def layer(self) -> str:
        """What `[quantize] exclude` calls it; "" for the outermost code."""
        return self.owner or self.path

    @property
    def kind(self) -> str:
        """The operator in a word that all graphs share; of a fused one, what it ends with."""
        name = re.sub(r"_\d+$", "", self.operator.lower().rpartition("::")[2])
        name = name.removesuffix("_") or name
        for last in ("relu6", "relu"):
            if name.endswith(f"_{last}") and name != f"leaky_{last}":
                name = last
        return _KIND.get(name, name)


class Origins:
    """Which taps each living tensor is made of."""

    def __init__(self) -> None:
        # By identity, and weakly: the address of a freed tensor is soon another's.
        self._made: Any = WeakIdKeyDictionary()

    def of(self, values: Sequence[Any]) -> tuple[int, ...]:
        """Of what all tensors among values, and in lists of them, are made."""
        indices = (index for tensor in tensors(values) for index in self._made.get(tensor, ()))
        return tuple(dict.fromkeys(indices))

    def note(self, tensor: Tensor, taps: tuple[int, ...]) -> None:
        self._made[tensor] = taps


def tensors(values: Sequence[Any]) -> Iterator[Tensor]:
    """Each tensor among values, and in lists and tuples of them."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from tensors(value)


def matches(artifact: Sequence[Tap], reference: Sequence[Tap]) -> list[list[int]]:
    """For each tap of an artifact the taps of the reference that it may be, most often one.

    The same tensor name is the same tensor. Otherwise the same module and kind of operator, the
    n-th of as many. Where the counts differ, every tensor of the module. What stands behind such a
    tensor and has no counterpart of its own may be folded into it, as a batch norm is into a
    convolution: up to four operators behind it count as well, and the numbers tell which it is.
    """
    by_name = {tap.name: index for index, tap in enumerate(reference)}
    of_path, of_kind = defaultdict(list), defaultdict(list)
    for index, tap in enumerate(reference):
        of_path[tap.path].append(index)
        of_kind[tap.path, tap.kind].append(index)
    mine = defaultdict(list)
    for index, tap in enumerate(artifact):
        mine[tap.path, tap.kind].append(index)
    readers = _readers(reference)
    candidates = []
    for index, tap in enumerate(artifact):
        key = tap.path, tap.kind
        if tap.name in by_name:
            candidates.append([by_name[tap.name]])
        elif of_kind[key] and len(of_kind[key]) == len(mine[key]):
            same = of_kind[key][mine[key].index(index)]
            behind = _behind(same, readers)
            folded = takewhile(lambda i: (reference[i].path, reference[i].kind) not in mine, behind)
            candidates.append([same, *folded])
        else:
            candidates.append(_fused(tap, reference, of_path[tap.path], readers))
    return candidates


def _fused(
    tap: Tap, reference: Sequence[Tap], inside: list[int], readers: dict[int, list[int]]
) -> list[int]:
    """What is in the module or follows it without a branch; of one kind, if any is of the tap's."""
    last = inside[-1:]
    candidates = dict.fromkeys([*inside, *(i for end in last for i in _behind(end, readers))])
    alike = [index for index in candidates if reference[index].kind == tap.kind]
    return alike or list(candidates)


def _behind(index: int, readers: Mapping[int, list[int]]) -> list[int]:
    """The taps that follow one without a branch, the nearest first, at most `CHAIN`."""
    chain: list[int] = []
    for _ in range(CHAIN):
        following = readers.get(index, [])
        if len(following) != 1:
            break
        index = following[0]
        chain.append(index)
    return chain


def _readers(taps: Sequence[Tap]) -> dict[int, list[int]]:
    readers = defaultdict(list)
    for index, tap in enumerate(taps):
        for read in tap.reads:
            readers[read].append(index)
    return readers


def without_prefix(taps: Sequence[Tap], reference: Sequence[Tap]) -> list[Tap]:
    """Paths as the reference has them: an artifact may have its model one module further in, and
    either may have the output's activation in its outermost code."""
    known = {tap.path for tap in reference}
    post = {tap.kind for tap in reference if tap.path == POST}
    firsts = dict.fromkeys(["", *(f"{t.path.split('.')[0]}." for t in taps if t.path)])

    def hits(prefix: str) -> int:
        return sum(tap.path.removeprefix(prefix) in known for tap in taps)

    best = max(firsts, key=hits)
    renamed = []
    for tap in taps:
        path = tap.path.removeprefix(best)
        if not path and tap.kind in post:
            path = POST
        elif path == POST and POST not in known:
            path = ""
        renamed.append(replace(tap, path=path))
    return renamed
