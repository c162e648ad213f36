"""What a torch.fx graph writes into tensors: seen while it runs, and handed to what reads later."""

import operator
import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Interpreter, Node
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

SHOWN = 3  # lines in one sentence


@dataclass(frozen=True)
class Write:
    """A node that changed tensors which it was given; `result` is what it gave."""

    node: Node
    changed: tuple[Tensor, ...]
    result: object


def read_through(graph: GraphModule, inputs: Sequence[Any], root: Path) -> str | None:
    """Lets what reads a tensor after a write read what the write gives, in place.

    That is the same object, so that nothing changes for a graph that runs as it stands, but no
    write is without a reader any more. Gives a sentence for what cannot be said so: a write that is
    seen under another name, such as a view. Writes show on `inputs`, those of the placeholders.
    """
    watch = _Watch(graph)
    with torch.no_grad():
        watch.run(*inputs)
    order = {node: index for index, node in enumerate(graph.graph.nodes)}
    stored = [*graph.parameters(), *graph.buffers()]
    for write in watch.writes:
        if any(_overlap(one, other) for one in write.changed for other in stored):
            return f"{place_of(write.node, root)} writes into a parameter or buffer of the model"
        for node in list(order)[: order[write.node]]:
            _redirect(node, write, order, watch.env)
            if _reads_later(node, write, order, watch.env):
                return (
                    f"{place_of(write.node, root)} writes into a tensor that is read under another "
                    "name further down, which torch.fx does not follow"
                )
    return None


def place_of(node: Node, root: Path) -> str:
    """The user's line that a node stands for: `model.py:12: h.clamp_(max=1)`."""
    frames = re.findall(r'File "([^"]+)", line (\d+), in .*\n\s+(.+)', node.stack_trace or "")
    own = [frame for frame in frames if Path(frame[0]).is_relative_to(root)] or frames
    if not own:
        return f"{node.op} {node.target}"
    file, line, source = own[-1]
    return f"{_short(file, root)}:{line}: {source.strip()}"


def lines_that_write(run: Callable[[], object], root: Path) -> list[str]:
    """The user's lines, the first few of them, that change a tensor in place while `run` runs."""
    noted = _Noted(root)
    with torch.no_grad(), noted:
        run()
    return list(noted.lines)[:SHOWN]


class _Watch(Interpreter):
    """Runs a graph and notes its writes: each counts up the version of what it changes."""

    def __init__(self, graph: GraphModule) -> None:
        super().__init__(graph, garbage_collect_values=False)
        self.writes: list[Write] = []

    def run_node(self, n: Node) -> Any:
        given = _tensors(self.fetch_args_kwargs_from_env(n))
        before = [tensor._version for tensor in given]
        result = super().run_node(n)
        changed = tuple(
            tensor for tensor, v in zip(given, before, strict=True) if tensor._version != v
        )
        if changed:
            self.writes.append(Write(n, changed, result))
        return result


class _Noted(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, root: Path) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.root = root
        self.lines: dict[str, None] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func._schema.is_mutable:
            for frame in reversed(traceback.extract_stack()):
                file = Path(frame.filename)
                if file.is_relative_to(self.root) and "site-packages" not in file.parts:
                    where = f"{_short(frame.filename, self.root)}:{frame.lineno}: {frame.line}"
                    self.lines[where] = None
                    break
        return func(*args, **(kwargs or {}))


def _redirect(
    node: Node, write: Write, order: Mapping[Node, int], values: Mapping[Node, Any]
) -> None:
    """`node` is read through the write, where both are one tensor."""
    if node.op != "output" and isinstance(write.result, Tensor) and values[node] is write.result:
        later = order[write.node]
        node.replace_all_uses_with(write.node, lambda user: order[user] > later)


def _reads_later(
    node: Node, write: Write, order: Mapping[Node, int], values: Mapping[Node, Any]
) -> bool:
    """Whether something after the write reads `node`, whose memory the write has changed."""
    held = _tensors(values[node])
    if not any(_overlap(one, other) for one in held for other in write.changed):
        return False
    for user in node.users:
        if order[user] <= order[write.node]:
            continue
        # An item of several tensors is another tensor.
        item = user.target is operator.getitem and not isinstance(values[node], Tensor)
        touched = _tensors(values[user]) if item else held
        if any(_overlap(one, other) for one in touched for other in write.changed):
            return True
    return False


def _tensors(given: object) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(given) if isinstance(leaf, Tensor)]


def _overlap(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors have an element in common."""
    if torch.strided not in (one.layout, other.layout) or not one.numel() or not other.numel():
        return one is other
    memory = one.untyped_storage()
    if memory.data_ptr() != other.untyped_storage().data_ptr():
        return False
    if one.element_size() != other.element_size():
        return True
    size = memory.nbytes() // one.element_size()
    numbers = torch.arange(size)
    seen = torch.zeros(size, dtype=torch.bool)
    seen[_spread(numbers, one)] = True
    return bool(seen[_spread(numbers, other)].any())


def _spread(numbers: Tensor, like: Tensor) -> Tensor:
    return numbers.as_strided(like.size(), like.stride(), like.storage_offset()).flatten()


def _short(file: str, root: Path) -> str:
    path = Path(file)
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
