"""What is raised inside a graph is the failure of that file; a full disk stays a full disk."""

import errno

import pytest

from pipeline.errors import UnsafeModelError
from pipeline.formats.taps import NotWalkableError, inside_graph


def test_the_type_and_the_first_line_are_told() -> None:
    with pytest.raises(NotWalkableError) as raised, inside_graph("aten::add of the file"):
        raise KeyError(8)
    assert str(raised.value) == "aten::add of the file: KeyError: 8"


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "no space"), UnsafeModelError("it writes files")]
)
def test_what_is_no_fault_of_the_graph_goes_through(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, inside_graph("aten::add"):
        raise error
    assert raised.value is error
