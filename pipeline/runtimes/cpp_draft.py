"""A bundle around a single artifact, so that the C++ runner takes it as it takes any other."""

import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import __version__
from pipeline.bundle import manifest as parts
from pipeline.bundle import write_file, write_manifest, write_tensor
from pipeline.config.export import Format
from pipeline.formats.table import FORMATS
from pipeline.graph.signature import Signature
from pipeline.system.machine import describe, made_for
from pipeline.system.packages import version_of

ID = "draft"


def write_draft(
    folder: Path,
    artifact: Path,
    format: Format,
    signature: Signature,
    engine: str,
    samples: Sequence[Sequence[NDArray[Any]]] = (),
) -> None:
    """Writes `folder`. Nothing is claimed of the artifact: its verdict is inconclusive.

    `engine` is the artifact's `made_for`. `samples` are arrays for each input, a sample after the
    other with its batch axis: golden inputs whose golden outputs are empty or zero, for programs
    that only run them.
    """
    file = write_file(folder, f"artifacts/model{FORMATS[format].suffix}", artifact.read_bytes())
    golden, files = _golden(folder, signature, samples)
    write_manifest(
        folder,
        parts.Manifest(
            name=ID,
            version="1",
            description="",
            license="",
            verdict="inconclusive",
            allow_failed=True,
            inputs=tuple(parts.Input(**vars(spec), kind="tensor") for spec in signature.inputs),
            outputs=tuple(
                parts.Output(**vars(spec), kind="tensor", labels=None, threshold=None)
                for spec in signature.outputs
            ),
            artifacts=(_entry(file, format, engine),),
            verified=_nothing_verified(),
            golden=golden,
            files=files,
            producer=parts.Producer(
                pipeline=__version__,
                python=platform.python_version(),
                torch=version_of("torch"),
                onnx=version_of("onnx"),
                onnxruntime=version_of("onnxruntime"),
            ),
        ),
    )


def _golden(
    folder: Path, signature: Signature, samples: Sequence[Sequence[NDArray[Any]]]
) -> tuple[tuple[parts.Golden, ...], tuple[parts.File, ...]]:
    files: list[parts.File] = []

    def write(name: str, array: NDArray[Any]) -> parts.GoldenTensor:
        tensor, file = write_tensor(folder, name, array)
        files.append(file)
        return tensor

    # What a sample's answer is, nobody asks: the smallest that the signature allows.
    outputs = tuple(
        write(
            f"golden/output.{index}.bin",
            np.zeros([axis or 0 for axis in spec.shape], spec.dtype),
        )
        for index, spec in enumerate(signature.outputs if samples else ())
    )
    golden = tuple(
        parts.Golden(
            inputs=tuple(
                write(f"golden/{number:03}.input.{index}.bin", array)
                for index, array in enumerate(sample)
            ),
            outputs=outputs,
            label=None,
        )
        for number, sample in enumerate(samples)
    )
    return golden, tuple(files)


def _entry(file: parts.File, format: Format, engine: str) -> parts.Artifact:
    return parts.Artifact(
        id=ID,
        format=format,
        # Only int8 depends on a kind of CPU, and only there does the runner look at it.
        precision="fp32" if engine == "any" else "int8",
        recipe=None,
        file=file.file,
        bytes=file.bytes,
        sha256=file.sha256,
        version=0,
        made_for=engine,
        operators={},
        tolerances=(),
        verdict="inconclusive",
        results=(),
    )


def _nothing_verified() -> parts.Verified:
    return parts.Verified(
        samples=0,
        synthetic=False,
        threads=1,
        arch=made_for(),
        flags=tuple(describe().flags),
        metric=None,
    )
