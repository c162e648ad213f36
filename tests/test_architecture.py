"""The import arrows of docs/architecture.md, and what the command line may load."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import pipeline
from pipeline.workspace.stage import STAGES

HOME = Path(pipeline.__file__).parent
HERE = Path(__file__).parent
SCRIPTS = HERE.parent / "scripts"

# A module imports only from its own room and those above it in this list; stages never import
# one another.
ROOMS: list[tuple[str, ...]] = [
    ("errors",),
    ("system",),
    ("config",),
    ("graph",),
    ("formats",),
    ("workspace",),
    ("project",),
    ("measure",),
    ("bundle",),
    ("runner",),
    ("devices",),
    ("runtimes",),
    STAGES,
    ("report",),
    ("run",),
    ("cli",),
]
RANK = {name: rank for rank, rooms in enumerate(ROOMS) for name in rooms}
HEAVY = {"torch", "onnx", "onnxruntime", "onnxscript", "matplotlib", "numpy", "jinja2"}


def room(file: Path) -> str:
    return file.relative_to(HOME).parts[0].removesuffix(".py")


def imports(file: Path) -> set[str]:
    """The rooms of this package that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "pipeline":
            found |= {alias.name for alias in node.names} - {"__version__"}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pipeline."):
            found.add((node.module or "").split(".")[1])
        elif isinstance(node, ast.Import):
            names = (alias.name.split(".") for alias in node.names)
            found |= {name[1] for name in names if name[0] == "pipeline" and len(name) > 1}
    return found - {room(file)}


FILES = sorted(file for file in HOME.rglob("*.py") if file != HOME / "__init__.py")


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(HOME)))
def test_imports_follow_the_arrow(file: Path) -> None:
    own = room(file)
    assert own in RANK, f"{own} has no place in ROOMS"
    for other in imports(file):
        assert RANK[other] <= RANK[own], f"{own} imports {other}, which lies above it"
        assert not {own, other} <= set(STAGES), f"stage {own} imports stage {other}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(HOME)))
def test_only_the_command_line_prints_or_exits(file: Path) -> None:
    if room(file) == "cli" or file.name in ("worker.py", "__main__.py"):
        return  # a worker is a process of its own: it answers on its output
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in ("print", "sys.exit", "exit", "os._exit"), f"line {node.lineno}"


@pytest.mark.parametrize(
    "file", [*sorted(SCRIPTS.glob("*.py")), HERE / "conftest.py"], ids=lambda file: file.name
)
def test_pipeline_is_imported_before_onnxruntime(file: Path) -> None:
    """What is imported first has its telemetry as it likes. Tests come after their conftest."""
    lines: dict[str, int] = {}
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            for name in [node.module or ""] if isinstance(node, ast.ImportFrom) else names:
                top = name.partition(".")[0]
                lines[top] = min(node.lineno, lines.get(top, node.lineno))
    if file.name == "conftest.py" or "onnxruntime" in lines:
        assert lines["pipeline"] < lines.get("onnxruntime", sys.maxsize)


def loaded_by(arguments: list[str]) -> set[str]:
    code = f"""
import json, sys
sys.argv = {["pipeline", *arguments]!r}
from pipeline.cli.app import main
try:
    main()
except SystemExit:
    pass
sys.stderr.write("\\n" + json.dumps(sorted({{name.split(".")[0] for name in sys.modules}})))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


def test_help_loads_nothing_heavy() -> None:
    assert not loaded_by(["--help"]) & HEAVY
    assert not loaded_by(["train", "--help"]) & HEAVY


def test_doctor_and_status_load_no_torch(tmp_path: Path) -> None:
    (tmp_path / "pipeline.toml").write_text('[model]\nentry = "m.py:f"\n')
    assert "torch" not in loaded_by(["status", "-c", str(tmp_path)])
    assert "torch" not in loaded_by(["doctor"])
