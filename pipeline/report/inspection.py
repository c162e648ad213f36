"""What `pipeline inspect` finds in a model file, weights, a bundle or a workspace."""

import math
import zipfile
from pathlib import Path
from typing import Any, Literal

from pipeline.bundle.manifest import Artifact as BundleArtifact
from pipeline.bundle.manifest import Input, Output, Producer, Verified
from pipeline.bundle.names import MANIFEST
from pipeline.config.export import Format
from pipeline.errors import DamagedError, SetupError, UsageError
from pipeline.formats.facts import by_size, weight_bytes
from pipeline.formats.read_back import Facts, Layer, Port, read_back
from pipeline.formats.table import FORMATS
from pipeline.workspace.artifacts import INDEX, Artifact, Precision, read_index, sha256_of
from pipeline.workspace.folder import Workspace
from pipeline.workspace.results.base import Result, read_if_there
from pipeline.workspace.results.verdict import VERDICT, Verdict
from pipeline.workspace.stage import STAGES

_HINT = "It takes .onnx, .pt and .safetensors files, bundles, and workspaces such as runs/NAME."

# Operators that only a graph with int8 arithmetic has.
_INT8 = ("QuantizeLinear", "DynamicQuantizeLinear", "MatMulInteger", "ConvInteger", "quantized::")


class InspectedFile(Result):
    """`layers` are all stored tensors, largest first; `weight_bytes` their bytes by element type;
    `provenance` what the file says of who wrote it."""

    file: str
    bytes: int
    sha256: str
    format: str
    provenance: dict[str, Any]
    weight_bytes: dict[str, int]
    layers: tuple[Layer, ...]


class InspectedModel(InspectedFile):
    """A TorchScript or ONNX file. `version` is the ONNX opset or the archive's; `operators` counts
    the graph's; `unsafe` says why no runner loads the file, null where they do. TorchScript
    declares neither type nor shape of its inputs and outputs: null there."""

    format: Format
    unsafe: str | None
    precision: Precision
    version: int
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    operators: dict[str, int]


class InspectedWeights(InspectedFile):
    """A state dict or a safetensors file of so many `tensors`."""

    format: Literal["state dict", "safetensors"]
    tensors: int


class InspectedBundle(Result):
    """A bundle whose every hash was found right: its manifest, with artifacts by their id."""

    bundle: str
    digest: str
    name: str
    version: str
    description: str
    license: str
    verdict: str
    allow_failed: bool
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    verified: Verified
    golden_samples: int
    artifacts: dict[str, BundleArtifact]
    producer: Producer


class InspectedStage(Result):
    """`files` are bytes by name."""

    key: str
    seconds: float
    files: dict[str, int]


class InspectedWorkspace(Result):
    """The stages that are there, artifacts by their id, and the verdict where there is one."""

    workspace: str
    stages: dict[str, InspectedStage]
    artifacts: dict[str, Artifact]
    verdict: str | None


Inspected = InspectedModel | InspectedWeights | InspectedBundle | InspectedWorkspace


def inspect(path: Path | str) -> Inspected:
    """What a path holds. Nothing of it is run.

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


def _file(path: Path) -> Inspected:
    if path.suffix in (".pt", ".pth"):
        return _torch(path)
    if path.suffix == ".safetensors":
        return _safetensors(path)
    for name, row in FORMATS.items():
        if path.suffix == row.suffix:
            return _model(path, name)
    what = path.suffix or "without a suffix"
    raise UsageError(f"{path.name} is a file ({what}) that inspect does not know.", _HINT)


def _about(path: Path) -> dict[str, Any]:
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": sha256_of(path)}


def _model(path: Path, format: Format) -> InspectedModel:
    facts = read_back(path, format)
    return InspectedModel(
        **_about(path),
        format=format,
        unsafe=facts.unsafe,
        precision=precision_of(facts),
        version=facts.version,
        inputs=facts.inputs,
        outputs=facts.outputs,
        provenance={key: value for key, value in facts.provenance.items() if value},
        operators=facts.operators,
        weight_bytes=facts.weight_bytes,
        layers=facts.layers,
    )


def precision_of(facts: Facts) -> Precision:
    """`int8` where operators compute on it, `fp16` where a weight is, otherwise `fp32`."""
    names = [name.rpartition(".")[2] for name in facts.operators]
    if any(name.startswith(_INT8) or name.startswith("QLinear") for name in names):
        return "int8"
    return "fp16" if facts.weight_bytes.get("float16") else "fp32"


def _torch(path: Path) -> Inspected:
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
    return _weights(path, "state dict", layers, {})


def _safetensors(path: Path) -> InspectedWeights:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            layers = [_slice(name, file.get_slice(name)) for name in file.keys()]  # noqa: SIM118
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise DamagedError(f"{path} is not a readable safetensors file: {error}.") from error
    return _weights(path, "safetensors", layers, {"metadata": metadata} if metadata else {})


_SAFETENSORS = {"F": "float", "I": "int", "U": "uint", "BF": "bfloat"}


def _slice(name: str, part: Any) -> Layer:
    """A tensor by the header alone. Types are written `F32`, `BF16`, `I8`, `BOOL`."""
    kind, shape = str(part.get_dtype()), tuple(part.get_shape())
    letters = kind.rstrip("0123456789")
    bits = kind[len(letters) :]
    dtype = f"{_SAFETENSORS[letters]}{bits}" if letters in _SAFETENSORS else kind.lower()
    return Layer(name, dtype, shape, math.prod(shape) * int(bits or 8) // 8)


def _weights(
    path: Path,
    format: Literal["state dict", "safetensors"],
    found: list[Layer],
    provenance: dict[str, Any],
) -> InspectedWeights:
    layers = by_size(iter(found))
    return InspectedWeights(
        **_about(path),
        format=format,
        tensors=len(layers),
        provenance=provenance,
        weight_bytes=weight_bytes(layers),
        layers=layers,
    )


def _folder(path: Path) -> Inspected:
    if (path / MANIFEST).is_file():
        return _bundle(path)
    workspace = Workspace(path)
    if any(workspace.stage(stage).is_dir() for stage in STAGES):
        return _workspace(workspace)
    raise UsageError(f"{path} is neither a bundle nor a workspace.", _HINT)


def _bundle(path: Path) -> InspectedBundle:
    from pipeline.bundle import open_bundle

    bundle = open_bundle(path)
    manifest = bundle.manifest
    return InspectedBundle(
        bundle=path.resolve().name,
        digest=bundle.digest,
        name=manifest.name,
        version=manifest.version,
        description=manifest.description,
        license=manifest.license,
        verdict=manifest.verdict,
        allow_failed=manifest.allow_failed,
        inputs=manifest.inputs,
        outputs=manifest.outputs,
        verified=manifest.verified,
        golden_samples=len(manifest.golden),
        artifacts={artifact.id: artifact for artifact in manifest.artifacts},
        producer=manifest.producer,
    )


def _workspace(workspace: Workspace) -> InspectedWorkspace:
    """Raises DamagedError for a changed file."""
    folders = {stage: workspace.stage(stage) for stage in STAGES}
    verdict = read_if_there(folders["verify"] / VERDICT, Verdict)
    return InspectedWorkspace(
        workspace=workspace.root.resolve().name,
        stages={name: _stage(workspace, name) for name, at in folders.items() if at.is_dir()},
        artifacts={
            artifact.id: artifact
            for folder in folders.values()
            if (folder / INDEX).is_file()
            for artifact in read_index(folder)
        },
        verdict=verdict.verdict if verdict else None,
    )


def _stage(workspace: Workspace, stage: str) -> InspectedStage:
    folder = workspace.stage(stage)
    record = workspace.record(stage)
    if record is None:
        raise DamagedError(
            f"{folder} has no record that can be read.", f"Make it again: pipeline {stage} --force"
        )
    broken = workspace.broken_files(stage, record)
    if broken:
        raise DamagedError(f"{broken[0]}.", f"Make it again: pipeline {stage} --force")
    return InspectedStage(
        key=record.key,
        seconds=record.seconds,
        files={file: (folder / file).stat().st_size for file in sorted(record.files)},
    )
