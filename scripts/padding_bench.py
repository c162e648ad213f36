#!/usr/bin/env python3
"""What a fourth input channel gains an int8 convolution in ONNX Runtime, and where it loses.

    python scripts/padding_bench.py

One convolution on a picture with channels last, quantized before and behind it, batch 1, one
thread; as it is and with its channels padded take turns. The rule that
`pipeline.quantize.onnx.pad.worth_it` follows was read from this table; * marks what it pads.
"""

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from pipeline.measure.timing.contest import ratio_of_medians, turns
from pipeline.measure.timing.loop import measure, warm_up
from pipeline.quantize.onnx import pad as onnx_pad

# isort: split
import onnxruntime as ort  # behind pipeline, which switches its telemetry off

ROUNDS = 12
SECONDS = 0.04  # of a turn
FEWEST = 3  # runs of a turn
CASES = (  # input channels, kernel, stride, pixels, outputs
    *((3, 3, 1, size, outputs) for size in (32, 224) for outputs in (8, 16, 32)),
    *((3, 3, 2, size, outputs) for size in (64, 224) for outputs in (8, 16, 32)),
    *((3, kernel, stride, 224, 32) for kernel in (5, 7) for stride in (1, 2)),
    *((3, 7, 2, 224, 64), (3, 11, 4, 224, 64), (3, 4, 4, 224, 96), (3, 16, 16, 224, 192)),
    *((channels, 3, stride, 224, 32) for channels in (1, 2) for stride in (1, 2)),
    *((channels, 5, 2, 224, 16) for channels in (1, 2)),
    *((channels, 7, 2, 224, 32) for channels in (1, 2)),
)


def main() -> None:
    print("channels kernel stride pixels outputs    µs  padded  times as fast (95 %)")
    for channels, kernel, stride, pixels, outputs in CASES:
        plain = convolution(channels, kernel, stride, pixels, outputs)
        wide = ModelProto.FromString(plain.SerializeToString())
        chosen = onnx_pad.worth_it(outputs, channels, (kernel, kernel), stride)
        padded_anyhow(wide)
        row(plain, wide, f"{channels:8}{kernel:7}{stride:7}{pixels:7}{outputs:8}{' *'[chosen]}")


def row(plain: ModelProto, wide: ModelProto, what: str) -> None:
    pixels, channels = (
        plain.graph.input[0].type.tensor_type.shape.dim[n].dim_value for n in (1, 3)
    )
    picture = np.random.default_rng(0).normal(size=(1, pixels, pixels, channels))
    feed = {"picture": picture.astype(np.float32)}
    sessions = [session(model) for model in (plain, wide)]
    one, other = (session.run(None, feed)[0] for session in sessions)
    assert np.array_equal(one, other), "padding has changed an answer"
    calls = [lambda _, s=session: s.run(None, feed) for session in sessions]
    for call in calls:
        warm_up(call, FEWEST, SECONDS)
    times: list[list[list[float]]] = [[], []]
    for _, number in turns(2, ROUNDS):
        times[number].append([ns / 1e3 for ns in measure(calls[number], FEWEST, SECONDS)])
    medians = [float(np.median([np.median(turn) for turn in side])) for side in times]
    ratio = ratio_of_medians(times[0], times[1])
    sure = f"{ratio.ratio:8.2f} ({ratio.low:.2f} to {ratio.high:.2f})"
    print(f"{what}{medians[0]:7.0f}{medians[1]:8.0f}{sure}", flush=True)


def padded_anyhow(model: ModelProto) -> None:
    rule, onnx_pad.worth_it = onnx_pad.worth_it, lambda *_: True
    try:
        assert onnx_pad.pad_channels(model.graph) == 1
    finally:
        onnx_pad.worth_it = rule


def convolution(channels: int, kernel: int, stride: int, pixels: int, outputs: int) -> ModelProto:
    rng = np.random.default_rng(0)
    shape = (outputs, channels, kernel, kernel)
    stored = {
        "weight": rng.integers(-127, 128, shape).astype(np.int8),
        "weight_scale": np.full(outputs, 0.01, np.float32),
        "weight_zero": np.zeros(outputs, np.int8),
        "bias": rng.normal(size=outputs).astype(np.float32),
        "scale": np.float32(0.03),
        "wide_scale": np.float32(0.5),
        "zero": np.uint8(128),
    }
    nodes = [
        helper.make_node("Transpose", ["picture"], ["first"], perm=[0, 3, 1, 2]),
        *quantized("first", "scale"),
        helper.make_node(
            "DequantizeLinear", ["weight", "weight_scale", "weight_zero"], ["weight_float"], axis=0
        ),
        helper.make_node(
            "Conv",
            ["first_back", "weight_float", "bias"],
            ["features"],
            strides=[stride, stride],
            pads=[kernel // 2 if stride < kernel else 0] * 4,
        ),
        *quantized("features", "wide_scale"),
        helper.make_node("GlobalAveragePool", ["features_back"], ["means"]),
        *quantized("means", "wide_scale"),
    ]
    given = helper.make_tensor_value_info(
        "picture", TensorProto.FLOAT, [1, pixels, pixels, channels]
    )
    answer = helper.make_tensor_value_info("means_back", TensorProto.FLOAT, None)
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in stored.items()]
    graph = helper.make_graph(nodes, "one convolution", [given], [answer], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def quantized(name: str, scale: str) -> list[NodeProto]:
    return [
        helper.make_node("QuantizeLinear", [name, scale, "zero"], [f"{name}_int8"]),
        helper.make_node("DequantizeLinear", [f"{name}_int8", scale, "zero"], [f"{name}_back"]),
    ]


def session(model: ModelProto) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


if __name__ == "__main__":
    main()
