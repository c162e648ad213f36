"""`manifest.json`, schemas 1 and 2, as frozen values. docs/bundle-format.md is the normative text.

No validator reads a file or changes a value: a manifest is what it says, or is refused.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipeline.bundle.names import MANIFEST, check_names
from pipeline.bundle.refusal import Refusal, Refused
from pipeline.bundle.values import (
    MAX_RANK,
    Axis,
    Count,
    FileName,
    Identifier,
    Line,
    Name,
    NotNegative,
    Positive,
    Sha256,
    Share,
    Size,
    Text,
    Verdict,
    refuse,
    tensor_bytes,
)
from pipeline.config.base import Dtype
from pipeline.config.export import Format
from pipeline.workspace.artifacts import Precision


class Part(BaseModel):
    """An object of the manifest: every key is there, no other is."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Tensor(Part):
    """An input or output; an axis of None may have any size. `batch_axis` counts samples: None for
    what all samples of a batch share."""

    name: Name
    dtype: Dtype
    shape: Annotated[tuple[Axis | None, ...], Field(max_length=MAX_RANK)]
    batch_axis: Annotated[int, Field(ge=0, lt=MAX_RANK)] | None
    meaning: Line

    @model_validator(mode="after")
    def _addressable(self) -> Self:
        tensor_bytes(self.dtype, [axis or 1 for axis in self.shape])
        if self.batch_axis is not None and self.batch_axis >= len(self.shape):
            detail = f"{self.name} has no axis {self.batch_axis} to count samples"
            raise refuse(Refusal.INCONSISTENT, detail)
        return self


class Input(Tensor):
    kind: Literal["image", "tensor"]


class Output(Tensor):
    kind: Literal["classification", "regression", "tensor"]
    labels: FileName | None
    """classification: a file with the name of class 0 on its first line, and so on."""
    threshold: float | None
    """classification by a single score: above it the answer is yes."""

    @model_validator(mode="after")
    def _threshold_fits(self) -> Self:
        single = self.kind == "classification" and self.shape[-1:] == (1,)
        if single != (self.threshold is not None):
            detail = f"{self.name} {'needs a' if single else 'is no single score and has a'}"
            raise refuse(Refusal.INCONSISTENT, f"{detail} threshold")
        return self


class Tolerances(Part):
    """What an output may differ from the reference by; None where nothing is asked.

    Two classes that the reference puts at most `tie` apart are a near tie: it does not count which
    of them comes first.
    """

    max_abs: Positive | None
    max_rel: Positive | None
    min_sqnr_db: float | None
    min_top1: Share | None
    max_drop: float | None
    tie: NotNegative | None


class Result(Part):
    """What `verify` measured of an artifact in one runtime; None where a figure has no meaning."""

    runtime: Identifier
    verdict: Verdict
    reasons: tuple[Line, ...]
    max_abs: NotNegative | None
    max_rel: NotNegative | None
    cosine: float | None
    sqnr_db: float | None
    top1: Share | None
    metric: float | None
    drop: float | None


class Artifact(Part):
    """A model file. `version` is the ONNX opset or the TorchScript file version."""

    id: Identifier
    format: Format
    precision: Precision
    recipe: Identifier | None
    file: FileName
    bytes: Count
    sha256: Sha256
    version: Count
    made_for: Identifier
    operators: dict[Name, Count]
    tolerances: tuple[Tolerances, ...]
    """One for each output of the manifest; none at all where nothing could be measured."""
    verdict: Verdict
    results: tuple[Result, ...]


class GoldenTensor(Part):
    """A file of raw little-endian numbers in C order; `shape` counts the batch axis."""

    file: FileName
    dtype: Dtype
    shape: Annotated[tuple[Size, ...], Field(max_length=MAX_RANK)]

    @property
    def bytes(self) -> int:
        return tensor_bytes(self.dtype, self.shape)

    @model_validator(mode="after")
    def _addressable(self) -> Self:
        tensor_bytes(self.dtype, self.shape)
        return self


class Golden(Part):
    """A sample and what the reference answers, in the order of the manifest's inputs, outputs."""

    inputs: tuple[GoldenTensor, ...]
    outputs: tuple[GoldenTensor, ...]
    label: Count | None
    """classification: the sample's true class."""


class Metric(Part):
    """The task's metric; `reference` is what the eager model reaches."""

    name: Name
    goal: Literal["max", "min"]
    reference: float | None


class Verified(Part):
    """How the results were measured: so many samples, and the kind of CPU, since int8 kernels of
    another kind may answer differently."""

    samples: Count
    synthetic: bool
    threads: Count
    arch: Identifier
    flags: tuple[Identifier, ...]
    metric: Metric | None


class File(Part):
    """A file that is no artifact."""

    file: FileName
    bytes: Count
    sha256: Sha256


class Producer(Part):
    pipeline: Name
    python: Name
    torch: Name
    onnx: Name
    onnxruntime: Name


class Manifest(Part):
    """The whole file, but for the `digest` that `codec.py` puts behind it."""

    name: Identifier
    version: Identifier
    description: Text
    license: Line
    verdict: Verdict
    allow_failed: bool
    """Packed in spite of a verdict other than `pass`."""
    inputs: Annotated[tuple[Input, ...], Field(min_length=1)]
    outputs: Annotated[tuple[Output, ...], Field(min_length=1)]
    artifacts: Annotated[tuple[Artifact, ...], Field(min_length=1)]
    verified: Verified
    golden: tuple[Golden, ...]
    files: tuple[File, ...]
    producer: Producer

    @property
    def schema_version(self) -> Literal[1, 2]:
        """The oldest that says all of it: readers of schema 1 take what they always took."""
        first = self.inputs[0].shape
        implied = all(
            tensor.batch_axis == implied_batch_axis(first, tensor.shape)
            for tensor in (*self.inputs, *self.outputs)
        )
        return 1 if implied else 2

    @property
    def listed(self) -> dict[str, File | Artifact]:
        """Every file of the bundle but the manifest, by name."""
        return {entry.file: entry for entry in self.entries}

    @property
    def entries(self) -> tuple[File | Artifact, ...]:
        """As they are listed, artifacts first."""
        artifacts: tuple[File | Artifact, ...] = self.artifacts
        return (*artifacts, *self.files)

    @model_validator(mode="after")
    def _files_are_distinct(self) -> Self:
        names: set[str] = set()
        for entry in self.entries:
            if entry.file in names:
                raise refuse(Refusal.LISTED_TWICE, "", entry.file)
            names.add(entry.file)
        if MANIFEST in names:
            raise refuse(Refusal.INCONSISTENT, f"{MANIFEST} lists itself")
        try:
            check_names([MANIFEST, *sorted(names)])
        except Refused as refused:
            raise refuse(refused.code, refused.detail, refused.name) from None
        return self

    @model_validator(mode="after")
    def _names_are_distinct(self) -> Self:
        for what, names in (
            ("inputs", [tensor.name for tensor in self.inputs]),
            ("outputs", [tensor.name for tensor in self.outputs]),
            ("artifacts", [artifact.id for artifact in self.artifacts]),
        ):
            if len(set(names)) < len(names):
                raise refuse(Refusal.INCONSISTENT, f"two {what} have one name")
        return self

    @model_validator(mode="after")
    def _tolerances_fit(self) -> Self:
        for artifact in self.artifacts:
            if len(artifact.tolerances) not in (0, len(self.outputs)):
                raise refuse(
                    Refusal.INCONSISTENT,
                    f"{artifact.id} has {len(artifact.tolerances)} tolerances, "
                    f"there are {len(self.outputs)} outputs",
                )
        return self

    @model_validator(mode="after")
    def _verdicts_agree(self) -> Self:
        verdicts = {self.verdict, *(artifact.verdict for artifact in self.artifacts)}
        if self.allow_failed != (verdicts != {"pass"}):
            raise refuse(
                Refusal.INCONSISTENT,
                f"allow_failed is {str(self.allow_failed).lower()}, the verdicts are "
                f"{', '.join(sorted(verdicts))}",
            )
        return self

    @model_validator(mode="after")
    def _files_are_listed(self) -> Self:
        sizes = {entry.file: entry.bytes for entry in self.files}
        for output in self.outputs:
            if output.labels is not None and output.labels not in sizes:
                raise refuse(Refusal.INCONSISTENT, f"{output.labels} is not among the files")
        for number, sample in enumerate(self.golden):
            where = f"golden sample {number}"
            _check_golden(sample.inputs, self.inputs, sizes, f"{where}, inputs")
            _check_golden(sample.outputs, self.outputs, sizes, f"{where}, outputs")
        return self


def implied_batch_axis(
    first_input: Sequence[int | None], shape: Sequence[int | None]
) -> int | None:
    """What schema 1, which lacks the key, says: the first axis counts samples where it may have any
    size, or has the size of the first input's."""
    return 0 if shape and shape[0] in (None, *first_input[:1]) else None


def _check_golden(
    given: Sequence[GoldenTensor], declared: Sequence[Tensor], sizes: Mapping[str, int], where: str
) -> None:
    """Refuses golden tensors that are not what the signature and the list of files say."""
    if len(given) != len(declared):
        raise refuse(Refusal.INCONSISTENT, f"{where}: {len(given)} instead of {len(declared)}")
    for tensor, spec in zip(given, declared, strict=True):
        what = f"{where}: {tensor.file}"
        if tensor.dtype != spec.dtype or not _shape_fits(tensor.shape, spec.shape):
            raise refuse(Refusal.INCONSISTENT, f"{what} does not fit {spec.name}")
        if tensor.file not in sizes:
            raise refuse(Refusal.INCONSISTENT, f"{what} is not among the files")
        if sizes[tensor.file] != tensor.bytes:
            raise refuse(
                Refusal.INCONSISTENT,
                f"{what} has {sizes[tensor.file]} bytes, its shape {tensor.bytes}",
            )


def _shape_fits(shape: Sequence[int], declared: Sequence[int | None]) -> bool:
    return len(shape) == len(declared) and all(
        fixed in (None, size) for size, fixed in zip(shape, declared, strict=True)
    )
