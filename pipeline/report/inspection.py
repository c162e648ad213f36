"""The data of `pipeline inspect`: what a model, weights, a bundle or a workspace holds."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.errors import DamagedError, SetupError, UsageError
from pipeline.formats.read_back import Facts, Layer, Port, read_back
from pipeline.workspace.artifacts import INDEX, Format, read_index, sha256_of
from pipeline.workspace.folder import Workspace
from pipeline.workspace.results.base import read_if_there
from pipeline.workspace.results.verdict import VERDICT, Verdict
from pipeline.workspace.stage import STAGES

MANIFEST = "manifest.json"
_HINT = "It takes .onnx, .pt and .safetensors files, bundles, and workspaces such as runs/NAME."

# Operators that only a graph with int8 arithmetic has.
_INT8 = ("QuantizeLinear", "DynamicQuantizeLinear", "MatMulInteger", "ConvInteger", "quantized::")


def inspect(path: Path | str) -> dict[str, Any]:
    """JSON that says what a path holds.

    Raises UsageError for what is none of those, SetupError for what may not be read, DamagedError
    for what is not what it should be.
    """
    path = Path(path)
    if not path.exists():
        raise UsageError(f"There is no {path}.", _HINT)
    try:
        return _folder(path) if path.is_dir() else _file(path)
    except PermissionError as error:
        raise SetupError(f"{error.filename or path} may not be read.") from error


def _file(path: Path) -> dict[str, Any]:
    read: dict[str, Callable[[Path], dict[str, Any]]] = {
        ".onnx": lambda file: _model(file, "onnx"),
        ".pt": _torch,
        ".pth": _torch,
        ".safetensors": _safetensors,
    }
    if path.suffix not in read:
        what = path.suffix or "without a suffix"
        raise UsageError(f"{path.name} is a file ({what}) that inspect does not know.", _HINT)
    about = {"file": path.name, "bytes": path.stat().st_size, "sha256": sha256_of(path)}
    return about | read[path.suffix](path)


def _model(path: Path, format: Format) -> dict[str, Any]:
    facts = read_back(path, format)
    return {
        "format": format,
        **({"unsafe": facts.unsafe} if facts.unsafe else {}),
        "precision": precision_of(facts),
        "version": facts.version,
        "inputs": [_port(port) for port in facts.inputs],
        "outputs": [_port(port) for port in facts.outputs],
        "provenance": {key: value for key, value in facts.provenance.items() if value},
        "operators": facts.operators,
        "weight_bytes": facts.weight_bytes,
        "layers": [_layer(layer) for layer in facts.layers],
    }


def precision_of(facts: Facts) -> str:
    """`int8` where operators compute on it, `fp16` where a weight is, otherwise `fp32`."""
    names = [name.rpartition(".")[2] for name in facts.operators]
    if any(name.startswith(_INT8) or name.startswith("QLinear") for name in names):
        return "int8"
    return "fp16" if facts.weight_bytes.get("float16") else "fp32"


def _torch(path: Path) -> dict[str, Any]:
    """A TorchScript archive or a state dict, told apart by the code that only the former has."""
    try:
        with zipfile.ZipFile(path) as archive:
            scripted = any(name.partition("/")[2] == "constants.pkl" for name in archive.namelist())
    except zipfile.BadZipFile as error:
        with path.open("rb") as file:
            pickled = file.read(1) == b"\x80"
        if not pickled:
            raise DamagedError(
                f"{path} is neither TorchScript nor a state dict: it is no whole zip archive."
            ) from error
        scripted = False  # as torch.save wrote it before 1.6
    if scripted:
        return _model(path, "torchscript")
    from pipeline.project.weights import read_weights

    state = read_weights(path)
    layers = [
        Layer(
            name,
            str(tensor.dtype).removeprefix("torch."),
            tuple(tensor.shape),
            tensor.numel() * tensor.element_size(),
        )
        for name, tensor in state.items()
    ]
    return _weights("state dict", layers, {})


def _safetensors(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            layers = [_slice(name, file.get_slice(name)) for name in file.keys()]  # noqa: SIM118
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise DamagedError(f"{path} is not a readable safetensors file: {error}.") from error
    return _weights("safetensors", layers, {"metadata": metadata} if metadata else {})


_SAFETENSORS = {"F": "float", "I": "int", "U": "uint", "BF": "bfloat"}


def _slice(name: str, part: Any) -> Layer:
    """A tensor by the header alone. Types are written `F32`, `BF16`, `I8`, `BOOL`."""
    kind, shape = str(part.get_dtype()), tuple(part.get_shape())
    letters = kind.rstrip("0123456789")
    bits = kind[len(letters) :]
    dtype = f"{_SAFETENSORS[letters]}{bits}" if letters in _SAFETENSORS else kind.lower()
    count = 1
    for size in shape:
        count *= size
    return Layer(name, dtype, shape, count * int(bits or 8) // 8)


def _weights(format: str, layers: list[Layer], provenance: dict[str, Any]) -> dict[str, Any]:
    totals: dict[str, int] = {}
    for layer in layers:
        totals[layer.dtype] = totals.get(layer.dtype, 0) + layer.bytes
    ordered = sorted(layers, key=lambda layer: (-layer.bytes, layer.name))
    return {
        "format": format,
        "tensors": len(layers),
        "provenance": provenance,
        "weight_bytes": dict(sorted(totals.items())),
        "layers": [_layer(layer) for layer in ordered],
    }


def _folder(path: Path) -> dict[str, Any]:
    if (path / MANIFEST).is_file():
        return _bundle(path)
    workspace = Workspace(path)
    if any(workspace.stage(stage).is_dir() for stage in STAGES):
        return _workspace(workspace)
    raise UsageError(f"{path} is neither a bundle nor a workspace.", _HINT)


def _bundle(path: Path) -> dict[str, Any]:
    from pipeline.bundle import open_bundle

    bundle = open_bundle(path)
    manifest = bundle.manifest.model_dump(mode="json", by_alias=True)
    artifacts = {artifact.pop("id"): artifact for artifact in manifest.pop("artifacts")}
    golden = manifest.pop("golden")
    return {
        "bundle": path.resolve().name,
        "digest": bundle.digest,
        **manifest,
        "golden_samples": len(golden),
        "artifacts": artifacts,
    }


def _workspace(workspace: Workspace) -> dict[str, Any]:
    """Stages with their files, artifacts and verdict. Raises DamagedError for a changed file."""
    stages = {
        stage: _stage(workspace, stage) for stage in STAGES if workspace.stage(stage).is_dir()
    }
    contents: dict[str, Any] = {"workspace": workspace.root.resolve().name, "stages": stages}
    artifacts = {}
    for stage in STAGES:
        if (workspace.stage(stage) / INDEX).is_file():
            for artifact in read_index(workspace.stage(stage)):
                described = dict(vars(artifact))
                artifacts[described.pop("id")] = {"stage": stage, **described}
    if artifacts:
        contents["artifacts"] = artifacts
    verdict = read_if_there(workspace.stage("verify") / VERDICT, Verdict)
    if verdict is not None:
        contents["verdict"] = verdict.verdict
    return contents


def _stage(workspace: Workspace, stage: str) -> dict[str, Any]:
    folder = workspace.stage(stage)
    record = workspace.record(stage)
    if record is None:
        raise DamagedError(
            f"{folder} has no record that can be read.", f"Make it again: pipeline {stage} --force"
        )
    broken = workspace.broken_files(stage, record)
    if broken:
        raise DamagedError(f"{broken[0]}.", f"Make it again: pipeline {stage} --force")
    return {
        "key": record.key,
        "seconds": record.seconds,
        "files": {file: (folder / file).stat().st_size for file in sorted(record.files)},
    }


def _port(port: Port) -> dict[str, Any]:
    """Only what the file declares: TorchScript knows names alone."""
    about: dict[str, Any] = {"name": port.name}
    if port.dtype is not None:
        about["dtype"] = port.dtype
    if port.shape is not None:
        about["shape"] = list(port.shape)
    return about


def _layer(layer: Layer) -> dict[str, Any]:
    return {
        "name": layer.name,
        "dtype": layer.dtype,
        "shape": list(layer.shape),
        "bytes": layer.bytes,
    }
