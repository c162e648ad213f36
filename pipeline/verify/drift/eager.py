"""The tensors inside eager PyTorch: every operator, with the module that calls it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from pipeline.formats.taps import HANDS_ON, Origins, Tap, inside_graph, tensors
from pipeline.graph.array import Array
from pipeline.graph.tracing import plain_attention

# (index of the tap, its value)
Visit = Callable[[int, Tensor], None]


class EagerSource:
    """A module as a source of taps. Values are handed out as they are computed, and freed."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def taps(self, inputs: list[Array]) -> list[Tap]:
        recorder = _Recorder(lambda index, value: None)
        self._run(recorder, inputs)
        return recorder.taps

    def stream(self, inputs: list[Array], visit: Visit) -> None:
        """Calls `visit` for each tap, in their order."""
        self._run(_Recorder(visit), inputs)

    def _run(self, recorder: "_Recorder", inputs: list[Array]) -> None:
        arrays = [torch.from_numpy(array.copy()) for array in inputs]
        with (
            torch.no_grad(),
            plain_attention(),
            _paths(self.model, recorder),
            inside_graph("The model"),
            recorder,
        ):
            self.model(*arrays)


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees every operator below autograd."""

    def __init__(self, visit: Visit) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.visit = visit
        self.path: list[str] = [""]
        self.taps: list[Tap] = []
        self.origins = Origins()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing is compiled here. Torch would import its compiler to keep it out: 4 s, 80 MB."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        value = func(*args, **(kwargs or {}))
        reads = self.origins.of(args)
        first = next(tensors([value]), None)
        if first is None:
            return value
        name = func.overloadpacket.__name__
        if not first.is_floating_point() or name in HANDS_ON:
            self.origins.note(first, reads)
            return value
        index = len(self.taps)
        path = self.path[-1]
        self.taps.append(Tap(f"{path}#{index}", path, name, reads, 4 * first.numel()))
        self.origins.note(first, (index,))
        self.visit(index, first)
        return value


@contextmanager
def _paths(model: nn.Module, recorder: _Recorder) -> Iterator[None]:
    """Tells the recorder in which module it is."""

    def entering(name: str) -> Callable[..., None]:
        return lambda *_: recorder.path.append(name)

    def leaving(*_: Any) -> None:
        recorder.path.pop()

    handles = []
    for name, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            continue
        handles.append(module.register_forward_pre_hook(entering(name)))
        handles.append(module.register_forward_hook(leaving, always_call=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
