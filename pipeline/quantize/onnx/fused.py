"""How much of a quantized graph the runtime really computes on integers: read from what it runs."""

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.quantize.onnx.graph import PADDING

CONVOLUTIONS = ("Conv", "FusedConv", "ConvTranspose", "FusedConvTranspose", "ConvInteger")
INTEGER_CONVOLUTIONS = ("QLinearConv", "QLinearConvTranspose")
LINEARS = ("Gemm", "FusedGemm", "MatMul", "FusedMatMul")
INTEGER_LINEARS = (
    *("QGemm", "QLinearMatMul", "MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul"),
    *("MatMulNBits",),
)


@dataclass(frozen=True)
class Fused:
    """(on integers, all) by kind of layer. A layer between quantized tensors that was not fused is
    computed in float, with conversions around it: slower than float alone."""

    convolutions: tuple[int, int]
    linears: tuple[int, int]

    @property
    def share(self) -> float | None:
        """Of the convolutions, or of the linear layers where there is none."""
        done, there = self.convolutions if self.convolutions[1] else self.linears
        return done / there if there else None

    def to_json(self) -> dict[str, Any]:
        return {kind: list(counts) for kind, counts in asdict(self).items()}


def fused(path: Path, scratch: Path) -> Fused:
    """Lets ONNX Runtime optimize the file for this machine and counts what it will run.

    MatMuls of two computed tensors (attention's) have no weight and are not counted.
    """
    import onnx
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    target = scratch / "as it runs.onnx"
    options.optimized_model_filepath = str(target)
    ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    graph = onnx.load(target).graph
    target.unlink()
    stored = {t.name for t in graph.initializer if not t.name.startswith(PADDING)}
    counts: Counter[str] = Counter()
    for node in graph.node:
        if node.op_type in LINEARS and not stored & set(node.input):
            continue
        counts[node.op_type] += 1
    return Fused(
        _counted(counts, CONVOLUTIONS, INTEGER_CONVOLUTIONS),
        _counted(counts, LINEARS, INTEGER_LINEARS),
    )


def _counted(
    counts: Counter[str], floats: tuple[str, ...], integers: tuple[str, ...]
) -> tuple[int, int]:
    done = sum(counts[name] for name in integers)
    return done, done + sum(counts[name] for name in floats)
