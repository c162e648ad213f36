"""Archives that are the same whatever the process did before."""

import io
import warnings
import zipfile
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from pipeline.formats.torchscript.write import save_clean

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


class Shared(nn.Module):
    """Several classes of one name, and one weight under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(32, 32)
        self.two = nn.Linear(32, 32)
        self.two.weight = self.one.weight
        self.rest = nn.Sequential(nn.Linear(32, 16), nn.GELU(), nn.Identity(), nn.Linear(16, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.rest(self.two(self.one(x)))
        return y


@pytest.fixture(params=["trace", "script"])
def captures(request: pytest.FixtureRequest) -> Iterator[tuple[nn.Module, list[bytes]]]:
    """A model and its archives, from captures with others between them."""
    torch.manual_seed(0)
    model = Shared().eval()
    archives = []
    for _ in range(3):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if request.param == "trace":
                module = torch.jit.trace(model, torch.ones(2, 32), check_trace=False)
            else:
                module = torch.jit.script(model)
            archives.append(save_clean(module))
            torch.jit.script(nn.Sequential(nn.Linear(1, 1), nn.GELU()))
            torch.jit.trace(nn.Linear(3, 3), torch.ones(1, 3))
    yield model, archives


def test_the_same_module_gives_the_same_bytes(captures: tuple[nn.Module, list[bytes]]) -> None:
    _, archives = captures
    assert archives[0] == archives[1] == archives[2]


def test_it_loads_and_answers(captures: tuple[nn.Module, list[bytes]]) -> None:
    model, archives = captures
    x = torch.randn(5, 32)
    assert torch.equal(torch.jit.load(io.BytesIO(archives[0]))(x), model(x))


def test_nothing_of_the_maker_is_inside(captures: tuple[nn.Module, list[bytes]]) -> None:
    _, archives = captures
    with zipfile.ZipFile(io.BytesIO(archives[0])) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        text = b"".join(archive.read(name) for name in names)
        storages = [entry for entry in archive.infolist() if "/data/" in entry.filename]
        for entry in storages:  # LibTorch maps weights where they lie
            data = archives[0].index(archive.read(entry), entry.header_offset)
            assert data % 64 == 0
    assert not [name for name in names if "debug" in name or "traced_inputs" in name]
    assert __file__.encode() not in text
    # The tied weight once: 32*32 shared, two biases, 16*32 + 16, 2*16 + 2.
    assert sum(entry.file_size for entry in storages) == 4 * (32 * 32 + 64 + 16 * 32 + 16 + 34)


class Numbered(nn.Module):
    """Local names that torch numbers, beside names and strings that only look like it."""

    def forward(self, x1: torch.Tensor, x2: torch.Tensor) -> torch.Tensor:
        assert x1.shape[0] > 0, "x1 and _3 are 0"
        for _ in range(2):
            x = x1 + x2
            x = torch.stack([x, x1], dim=0).sum(0)
            x1 = x.to(dtype=torch.float32) * 2
        return x1


def test_numbered_names_stay_themselves() -> None:
    module = torch.jit.script(Numbered())
    data = save_clean(module)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        (code,) = [
            archive.read(n).decode() for n in archive.namelist() if n.endswith("test_write.py")
        ]
    assert "x1: Tensor" in code and "x2: Tensor" in code
    assert "x1 and _3 are 0" in code
    one, two = torch.randn(3, 4), torch.randn(3, 4)
    assert torch.equal(torch.jit.load(io.BytesIO(data))(one, two), Numbered()(one, two))
    assert save_clean(torch.jit.load(io.BytesIO(data))) == data  # written by another history


def test_a_helper_compiled_before_changes_nothing() -> None:
    """A function that the process knows already gets a number, and a file of its own."""
    first = save_clean(torch.jit.script(WithHelper()))
    torch.jit.script(helped)
    assert save_clean(torch.jit.script(WithHelper())) == first


def helped(x: torch.Tensor) -> torch.Tensor:
    y = x + 1
    return y * y


class WithHelper(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return helped(x) + helped(x * 2)
