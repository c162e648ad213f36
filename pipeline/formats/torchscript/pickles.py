"""The pickles of a TorchScript archive, run as torch's unpickler would, on descriptions of values
instead of values: no class and no function is looked up, and what the archive claims is held
against what it has. https://docs.python.org/3/library/pickletools.html has the opcodes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from pipeline.formats.torchscript.archive import Unsafe, quoted
from pipeline.formats.torchscript.tensors import FUNCTIONS, SCHEMES, STORAGES, Fault, rebuild

_MAX_BYTES = 1 << 26
_MAX_VALUES = 1 << 24
_MAX_DEPTH = 400  # what torch destroys by recursion; timm's have about 60
_MAX_BRACKETS = 64  # in the text of a type, which torch reads by recursion


@dataclass(slots=True, eq=False)
class Value:
    """What stands for one value.

    `kind` is one of none, boolean, integer, real, text, tuple, list, dict, storage type, scheme,
    function, type, storage, tensor, object. `data` by kind: an int, bytes of text, a function's
    name, element bytes of a storage type, elements of a storage, axes of a tensor, the state of
    an object. `items` of a tuple, list, dict (keys and values in turn). A list or dict is `fresh`,
    and may be filled, until something else is done with it. `depth` is the levels in it.
    """

    kind: str
    data: Any = None
    items: tuple["Value", ...] = ()
    depth: int = 0
    fresh: bool = False
    storage: "Storage | None" = None


@dataclass(frozen=True)
class Storage:
    """`key` is the record's name in its folder, `dtype` as `STORAGES` has it; elements."""

    key: bytes
    dtype: str
    elements: int


@dataclass(frozen=True)
class World:
    """What a pickle may refer to: the rest of its archive.

    `storage` gives the bytes of the record with a tensor's numbers by its key (b"0"), None if
    there is none; `has_class` says whether the archive or torch has a qualified name.
    """

    storage: Callable[[bytes], int | None]
    has_class: Callable[[str], bool]


def read_pickle(name: str, data: bytes, world: World) -> Value:
    """The value of a pickle. Raises Unsafe, beginning with `name`, unless it is one value, made
    with the opcodes and functions of torch's own unpickler, whose tensors lie within their
    storages."""
    if len(data) > _MAX_BYTES:
        raise Unsafe(f"{quoted(name.encode())} has more than 64 MiB.")
    machine = _Machine(data, world)
    try:
        return machine.run()
    except Fault as fault:
        raise Unsafe(f"{quoted(name.encode())}, byte {machine.at}: {fault}.") from fault


def _refuse(why: str) -> NoReturn:
    raise Fault(why)


class _Stack:
    """The stack, the marks and the table of kept values of an unpickler."""

    def __init__(self) -> None:
        self.values: list[Value] = []
        self.marks: list[int] = []
        self.kept: list[Value] = []
        self.made = 0
        self.tupled = 0

    def push(self, value: Value) -> None:
        self.made += 1
        if self.made > _MAX_VALUES:
            _refuse("it has more than 16,777,216 values")
        if value.depth > _MAX_DEPTH:
            _refuse("it is nested more than 400 levels deep")
        self.values.append(value)

    def pop(self) -> Value:
        if len(self.values) <= self._floor():
            _refuse("it takes a value where there is none")
        value = self.values.pop()
        value.fresh = False
        return value

    def make_tuple(self, count: int | None = None) -> None:
        """Of the last `count` values, or of everything above the last mark."""
        if count is None:
            start = self._take_mark()
        else:
            start = len(self.values) - count
            if start < self._floor():
                _refuse("it takes a value where there is none")
        self.tupled += len(self.values) - start
        if self.tupled > _MAX_VALUES:
            _refuse("it has more than 16,777,216 values")
        items, depth = self._enclosed(start)
        self.push(Value("tuple", items=items, depth=depth))

    def fill(self, kind: str) -> None:
        """The list or dict below the last mark, with what is above it."""
        mark = self._take_mark()
        if mark <= self._floor():
            _refuse("it takes a value where there is none")
        container = self.values[mark - 1]
        if container.kind != kind:
            _refuse("it fills something that is not a list or dict")
        if kind == "dict" and (len(self.values) - mark) % 2:
            _refuse("a dict has a key without a value")
        if not container.fresh:
            _refuse("a list or dict is filled after it was used")
        container.items, container.depth = self._enclosed(mark)
        container.fresh = False
        if container.depth > _MAX_DEPTH:
            _refuse("it is nested more than 400 levels deep")

    def keep(self, index: int) -> None:
        """torch numbers what it keeps one by one; another number would make its table as large."""
        if index != len(self.kept):
            _refuse("it stores a value under a number that is not the next one")
        if len(self.values) <= self._floor():
            _refuse("it takes a value where there is none")
        self.kept.append(self.values[-1])

    def recall(self, index: int) -> None:
        if index >= len(self.kept):
            _refuse("it reads back a value that it has not stored")
        if len(self.values) >= _MAX_VALUES:
            _refuse("it has more than 16,777,216 values")
        self.kept[index].fresh = False
        self.values.append(self.kept[index])

    def _floor(self) -> int:
        return self.marks[-1] if self.marks else 0

    def _take_mark(self) -> int:
        if not self.marks:
            _refuse("it takes a mark where there is none")
        return self.marks.pop()

    def _enclosed(self, start: int) -> tuple[tuple[Value, ...], int]:
        """Takes everything from there on; gives it with the depth of what will hold it. A list in
        it can't be filled any more, or its depth would be another."""
        items = tuple(self.values[start:])
        del self.values[start:]
        for value in items:
            value.fresh = False
        return items, max((value.depth for value in items), default=0) + 1


class _Machine:
    def __init__(self, data: bytes, world: World) -> None:
        self.data = data
        self.world = world
        self.at = 0
        self.stack = _Stack()

    def run(self) -> Value:
        if self._bytes(2) != b"\x80\x02":
            _refuse("it is not a pickle of protocol 2")
        while self._step(self._bytes(1)):
            pass
        if self.at != len(self.data):
            _refuse("something follows its end")
        if len(self.stack.values) != 1 or self.stack.marks:
            _refuse("it is more than one value")
        value = self.stack.pop()
        if value.kind not in ("object", "tuple"):
            _refuse("it is neither an object nor a tuple")
        return value

    def _step(self, opcode: bytes) -> bool:  # noqa: PLR0912, PLR0915 - one case an opcode
        """False at the end."""
        stack = self.stack
        match opcode:
            case b".":
                return False
            case b"(":
                stack.marks.append(len(stack.values))
            case b"N":
                stack.push(Value("none"))
            case b"\x88" | b"\x89":
                stack.push(Value("boolean", opcode == b"\x88"))
            case b"K":
                stack.push(Value("integer", self._number(1)))
            case b"M":
                stack.push(Value("integer", self._number(2)))
            case b"J":
                stack.push(Value("integer", self._number(4, signed=True)))
            case b"\x8a":
                if self._number(1) != 8:
                    _refuse("an integer does not have 8 bytes")
                stack.push(Value("integer", self._number(8, signed=True)))
            case b"G":
                self._bytes(8)
                stack.push(Value("real"))
            case b"X":
                stack.push(Value("text", self._bytes(self._number(4))))
            case b")":
                stack.make_tuple(0)
            case b"t":
                stack.make_tuple()
            case b"\x85" | b"\x86" | b"\x87":
                stack.make_tuple(opcode[0] - 0x84)
            case b"]":
                stack.push(Value("list", depth=1, fresh=True))
            case b"}":
                stack.push(Value("dict", depth=1, fresh=True))
            case b"e":
                stack.fill("list")
            case b"u":
                stack.fill("dict")
            case b"q":
                stack.keep(self._number(1))
            case b"r":
                stack.keep(self._number(4))
            case b"h":
                stack.recall(self._number(1))
            case b"j":
                stack.recall(self._number(4))
            case b"c":
                self._global()
            case b"Q":
                self._storage()
            case b"R":
                self._reduce(build=False)
            case b"b":
                self._reduce(build=True)
            case b"\x81":
                self._new_object()
            case _:
                _refuse(f"opcode {opcode[0]} is not one that torch writes")
        return True

    def _bytes(self, count: int) -> bytes:
        if count > len(self.data) - self.at:
            _refuse("it is cut off")
        self.at += count
        return self.data[self.at - count : self.at]

    def _number(self, size: int, signed: bool = False) -> int:
        return int.from_bytes(self._bytes(size), "little", signed=signed)

    def _line(self) -> bytes:
        end = self.data.find(b"\n", self.at)
        if end < 0:
            _refuse("a name has no end")
        line, self.at = self.data[self.at : end], end + 1
        return line

    def _global(self) -> None:
        module = self._line()
        full = module + b"." + self._line()
        name = full.decode("utf-8", "surrogateescape")
        if name in FUNCTIONS:
            self.stack.push(Value("function", FUNCTIONS[name]))
        elif name in STORAGES:
            self.stack.push(Value("storage type", name))
        elif name in SCHEMES:
            self.stack.push(Value("scheme", SCHEMES.index(name)))
        elif self.world.has_class(name):
            self.stack.push(Value("type", name))
        else:
            _refuse(f"it asks for {quoted(full)}, which is not allowed")

    def _storage(self) -> None:
        """("storage", type, key, "cpu", elements)"""
        description = self.stack.pop()
        if description.kind != "tuple" or len(description.items) != 5:
            _refuse("a storage is not described by five values")
        word, kind, key, device, count = description.items
        described = kind.kind == "storage type" and key.kind == "text" and count.kind == "integer"
        at_home = word.data == b"storage" and device.data == b"cpu"
        if not described or not at_home or count.data < 0:
            _refuse("a storage is malformed, or not on the CPU")
        there = self.world.storage(key.data)
        if there is None:
            _refuse(f"there is no storage {quoted(key.data)}")
        dtype, size = STORAGES[kind.data]
        if there != count.data * size:
            _refuse(
                f"the storage {quoted(key.data)} has {there} bytes and not {count.data} elements "
                f"of {size}"
            )
        storage = Storage(key.data, dtype, count.data)
        self.stack.push(Value("storage", count.data, storage=storage))

    def _reduce(self, *, build: bool) -> None:
        """torch does the same for both: an instance of a class is built of its state, a function
        called."""
        argument = self.stack.pop()
        callee = self.stack.pop()
        if callee.kind == "type":
            state = Value("object", callee.data, items=(argument,), depth=argument.depth + 1)
            self.stack.push(state)
        elif callee.kind == "function" and not build:
            self.stack.push(_call(callee.data, argument))
        else:
            _refuse("it calls something that is not a function")

    def _new_object(self) -> None:
        """NEWOBJ takes the class's arguments, of which there are none, and leaves the class: BUILD
        makes the object."""
        arguments = self.stack.pop()
        if arguments.kind != "tuple" or arguments.items:
            _refuse("an object has arguments")


def _call(function: str, arguments: Value) -> Value:
    if arguments.kind != "tuple":
        _refuse("a function is called without a tuple")
    values, depth = arguments.items, arguments.depth
    match function:
        case "ordered dict":  # of hooks, of which there are none
            if values:
                _refuse("a tensor has hooks")
            return Value("none", depth=depth)
        case "list":
            (value,) = _exactly(values, 1)
            if value.kind != "list":
                _refuse("a list is made from something else")
            return Value("list", items=value.items, depth=depth)
        case "type tag":
            value, tag = _exactly(values, 2)
            if (
                value.kind not in ("list", "dict")
                or tag.kind != "text"
                or _most_brackets(tag.data) > _MAX_BRACKETS
            ):
                _refuse("a type is malformed, or given to something other than a list or dict")
            return Value(value.kind, items=value.items, depth=depth)
        case "complex":
            if _exactly(values, 2)[0].kind != "real":
                _refuse("a complex number is malformed")
            return Value("real", depth=depth)
        case _:
            shape, storage = rebuild(values, quantized=function == "quantized tensor")
            return Value("tensor", shape, depth=depth, storage=storage)


def _exactly(values: tuple[Value, ...], count: int) -> tuple[Value, ...]:
    if len(values) != count:
        _refuse("a function is called with too few or too many values")
    return values


def _most_brackets(text: bytes) -> int:
    depth = most = 0
    for letter in text:
        if letter in b"[(":
            depth += 1
            most = max(most, depth)
        elif letter in b"])" and depth > 0:
            depth -= 1
    return most
