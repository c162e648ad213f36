"""A TorchScript file is read as data, and loaded only if all that it does is compute."""

import io
import json
import random
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

from pipeline.config.file import load_config
from pipeline.errors import DamagedError, UnsafeModelError
from pipeline.formats.torchscript.load import load_script
from pipeline.formats.torchscript.validate import read_archive
from pipeline.formats.torchscript.write import save_clean
from pipeline.graph.signature import Signature, TensorSpec
from pipeline.project.entries import build_model
from pipeline.report.inspection import InspectedModel, inspect
from pipeline.runtimes import RUNTIMES, Asked
from tests.formats.torchscript.mutated import in_cpp, packed, records, write_cases

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")

SIGNATURE = Signature(
    (TensorSpec("x", "float32", (None, 3)),), (TensorSpec("y", "float32", (None, 3)),)
)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.layer(x))


class Hostile(nn.Module):
    """Writes a file while it is loaded, by the state that it is built of."""

    def __init__(self, mark: str) -> None:
        super().__init__()
        self.mark = mark

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x

    @torch.jit.export
    def __getstate__(self) -> tuple[str, bool]:
        return self.mark, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[str, bool]) -> None:
        self.mark = state[0]
        self.training = state[1]
        torch.save(torch.ones(1), state[0])


@pytest.fixture
def hostile(tmp_path: Path) -> tuple[Path, Path]:
    """The file, and what it writes when torch loads it, as is shown once."""
    file, mark = tmp_path / "hostile.pt", tmp_path / "mark"
    torch.jit.script(Hostile(str(mark))).save(str(file))
    torch.jit.load(str(file))
    assert mark.is_file()
    mark.unlink()
    return file, mark


def project(folder: Path, file: Path) -> Path:
    (folder / "pipeline.toml").write_text(
        f"""
[model]
torchscript = "{file.name}"
[data]
entry = "data.py:build_data"
[input]
kind = "tensor"
shapes = {{ x = ["batch", 3] }}
""",
        encoding="utf-8",
    )
    return folder / "pipeline.toml"


def test_inspect_runs_nothing_of_a_file(hostile: tuple[Path, Path]) -> None:
    file, mark = hostile
    found = inspect(file)
    assert not mark.exists()
    assert isinstance(found, InspectedModel)
    assert found.format == "torchscript"
    assert "aten::save" in str(found.unsafe)


def test_the_command_inspects_it_without_torch(hostile: tuple[Path, Path]) -> None:
    file, mark = hostile
    code = f"""
import sys
sys.argv = ["pipeline", "inspect", {str(file)!r}, "--json"]
from pipeline.cli.app import main
try:
    main()
finally:
    assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "aten::save" in json.loads(done.stdout)["unsafe"]
    assert not mark.exists()


def test_a_model_of_the_configuration_is_not_loaded(hostile: tuple[Path, Path]) -> None:
    file, mark = hostile
    with pytest.raises(UnsafeModelError, match=r"hostile\.pt is not loaded.*aten::save") as caught:
        build_model(load_config(project(file.parent, file)))
    assert not mark.exists()
    assert caught.value.exit_code == 4
    assert caught.value.hint


def test_an_artifact_of_a_bundle_is_not_loaded(hostile: tuple[Path, Path]) -> None:
    """As `bench --compare BUNDLE` opens those of others."""
    file, mark = hostile
    with pytest.raises(RuntimeError, match="aten::save"):
        RUNTIMES["torchscript"].open(file, Asked(SIGNATURE, 1))
    assert not mark.exists()


@pytest.mark.parametrize("how", ["script", "trace"])
def test_what_torch_writes_is_loaded(tmp_path: Path, how: str) -> None:
    """Compressed code and debug records are left out of what torch gets to read."""
    net, x = Net().eval(), torch.randn(2, 3)
    module = torch.jit.script(net) if how == "script" else torch.jit.trace(net, x)
    file = tmp_path / "net.pt"
    module.save(str(file))
    archive = read_archive(file)
    assert archive.litter and not archive.plain
    assert torch.equal(load_script(file)(x), net(x))
    file.write_bytes(save_clean(module))
    assert read_archive(file).plain
    assert torch.equal(load_script(file)(x), net(x))


def test_a_compressed_record_is_no_larger_than_it_says(tmp_path: Path) -> None:
    file = tmp_path / "net.pt"
    torch.jit.script(Net()).save(str(file))
    archive = read_archive(file)
    record = next(r for r in archive.records.values() if not r.stored)
    data = bytearray(file.read_bytes())
    size = record.size.to_bytes(4, "little")
    claimed = (record.size - 1).to_bytes(4, "little")
    assert data.count(size) >= 2  # behind the record and in the directory
    file.write_bytes(bytes(data).replace(size, claimed))
    with pytest.raises(DamagedError, match="not what its header says"):
        read_archive(file)


LINES = {
    'torch.save(x, "/tmp/f")': "line 6: it uses the operator aten::save, which is not allowed",
    'y = ops.aten.save(x, "f")': "aten::save",
    "y = ops.prim.Print(x)": "prim::Print",
    'y = (torch .  save)(x, "f")': "aten::save",
    "(x).set_(y)": "the name 'set_'",
    'y = getattr(x, "set_")(y)': "the name 'set_'",
    'y = getattr(x, "se" "t_")(y)': "getattr is not used",
    'y = getattr(x, "\\x73et_")(y)': "escapes",
    "t = torch": "'torch' stands alone",
    "t = ops.aten": "'aten' stands alone",
    "y = torch.add.x": "looks for something in",
    "y = torch.add(x, x, out=x)": "memory to write into, 'out'",
    "y = __torch__.torch.classes.dist_c10d.Work": "does not define",
    "print(x)": "'print'",
    "y = fork(x)": "'fork'",
    "y = 1 # comment": "'#', which torch does not write",
    'y = """a': "three quotes",
    'y = "a': "a string has no end",
    "y = (1": "not closed",
    "y = 1)": "closed that is not open",
    "y = x" + ".a" * 1000: "more than 2000 parts",
    "y = " + "(" * 201: "200 brackets",
}


def written(tmp_path: Path, line: str) -> Path:
    """A module of torch's own writing, whose forward has one more line."""
    file = tmp_path / "net.pt"
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        buffer.write(save_clean(torch.jit.script(nn.Identity())))
    file.write_bytes(buffer.getvalue())
    text = (
        "class Net(Module):\n  __parameters__ = []\n  __buffers__ = []\n"
        "  def forward(self: __torch__.Net,\n    x: Tensor) -> Tensor:\n"
        f"    {line}\n    return x\n"
    )
    parts = []
    for name, data in records(file):
        if name.startswith("code/"):
            continue
        parts.append(
            (
                name,
                data.replace(b"c__torch__.torch.nn.modules.linear\nIdentity", b"c__torch__\nNet"),
            )
        )
    file.write_bytes(packed([*parts, ("code/__torch__.py", text.encode())]))
    return file


@pytest.mark.parametrize("line", LINES)
def test_code_that_may_do_more_is_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(DamagedError) as caught:
        read_archive(written(tmp_path, line)).check()
    assert LINES[line] in caught.value.message


def test_code_as_torch_writes_it_is_taken(tmp_path: Path) -> None:
    for line in (
        'y = "torch.save(x) \\" # "',
        'y = getattr(self, "0")',
        "y = annotate(List[int], [1, -2, 1e-05, 2., 3j])",
        "y = torch.add(x, x, alpha=1)",
    ):
        read_archive(written(tmp_path, line)).check()


def verdict(file: Path) -> str:
    try:
        archive = read_archive(file)
        archive.check()
    except DamagedError:
        return "refused"
    return "accepted" if archive.plain else "refused"


@pytest.mark.slow
def test_the_same_as_the_runner_says(tmp_path: Path) -> None:
    files = tmp_path / "files"
    write_cases(files, random.Random(7), 250)
    said = [
        line for line in in_cpp(files, tmp_path).splitlines() if line.split()[0].endswith(".pt")
    ]
    ours = [f"{name} {verdict(files / name)}" for name, _ in map(str.split, said)]
    assert not set(said) ^ set(ours)
    assert 50 < sum(line.endswith("accepted") for line in said) < len(said) - 50
