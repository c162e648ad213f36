"""The C++ runner's list of operators, held against the torch that is here."""

import re
from pathlib import Path

import pytest
import torch

LIST = Path(__file__).parents[2] / "cpp_runner" / "bundle" / "operators.txt"


def _lines(mark: str) -> list[str]:
    return re.findall(rf"^{mark} (\S+)$", LIST.read_text(encoding="utf-8"), re.MULTILINE)


def _aten(*, methods: bool = False) -> set[str]:
    """The operators of aten; those that code may call as a method of `self`."""
    return {
        schema.name.removeprefix("aten::")
        for schema in torch._C._jit_get_all_schemas()
        if schema.name.startswith("aten::")
        and (not methods or any(argument.name == "self" for argument in schema.arguments))
    }


@pytest.mark.parametrize("mark", ["allow", "refuse", "class", "keyword"])
def test_each_part_is_sorted_and_has_nothing_twice(mark: str) -> None:
    lines = _lines(mark)
    assert lines
    assert lines == sorted(set(lines))


def test_every_line_is_a_comment_or_of_a_part() -> None:
    for line in LIST.read_text(encoding="utf-8").splitlines():
        assert re.fullmatch(r"(#.*|(allow|refuse|class|keyword) \S+)?", line), line


@pytest.mark.locked_torch
def test_every_method_of_aten_is_allowed_or_refused() -> None:
    allowed = {name.removeprefix("aten::") for name in _lines("allow") if "aten::" in name}
    refused = set(_lines("refuse"))
    assert not allowed & refused
    assert allowed <= _aten()
    assert _aten(methods=True) - allowed - refused == set()


@pytest.mark.locked_torch
def test_every_argument_by_name_that_is_written_into_is_refused() -> None:
    """`out`, and what else code could give by its name; no argument that is only read has such a
    name where it must be given by it."""
    allowed = set(_lines("allow"))
    written, read = set(), set()  # type: ignore[var-annotated]
    for schema in torch._C._jit_get_all_schemas():
        if schema.name in allowed:
            for argument in schema.arguments:
                alias = argument.alias_info
                names = written if alias is not None and alias.is_write else read
                if argument.kwarg_only:
                    names.add(argument.name)
    refused = set(_lines("keyword"))
    assert written == refused
    assert not read & refused


def test_what_writes_reads_or_starts_anything_is_not_allowed() -> None:
    allowed = set(_lines("allow"))
    for name in ("save", "from_file", "manual_seed", "wait", "to_here", "cuda", "set_"):
        assert f"aten::{name}" not in allowed
    for name in ("Print", "PythonOp", "rpc_sync", "rpc_async", "awaitable_wait"):
        assert f"prim::{name}" not in allowed


def test_torch_takes_an_operator_as_a_method_of_self_alone(tmp_path: Path) -> None:
    """Why an attribute may have the name of some operators, and not that of others."""
    method = torch.jit.CompilationUnit("def f(x: Tensor, y: Tensor):\n  x.set_(y)\n  return x\n")
    assert method.f(torch.zeros(1), torch.ones(1)).item() == 1
    with pytest.raises(RuntimeError, match="no attribute or method 'save'"):
        torch.jit.CompilationUnit("def f(x: Tensor, path: str):\n  x.save(path)\n")
    function = torch.jit.CompilationUnit("def f(x: Tensor, path: str):\n  torch.save(x, path)\n")
    function.f(torch.ones(1), str(tmp_path / "written"))
    assert (tmp_path / "written").is_file()
