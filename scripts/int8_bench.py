#!/usr/bin/env python3
"""int8 by `[quantize] recipes = ["auto"]` beside what peers give by default, in one table.

    python scripts/int8_bench.py examples/int8/resnet18.toml examples/int8/mobilenetv2.toml

Accuracy is of all validation samples at the size that the model was trained at. Latency is of the
same weights exported for pictures of 224 × 224, where the model takes them, batch 1, one thread:
int8 and fp32 of ONNX Runtime take turns, and the ratio has its 95 % interval. Peers get the same
fp32 file, prepared by `quant_pre_process`, and the same calibration samples. The train and export
stages must be there:

    pipeline export -c examples/int8/resnet18.toml
"""

import argparse
import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx

import pipeline.export
from pipeline.cli.console import Terminal
from pipeline.config import Config
from pipeline.config.file import load_config
from pipeline.errors import UsageError
from pipeline.graph.array import Array
from pipeline.measure.timing.contest import ratio_of_medians, turns
from pipeline.measure.timing.loop import measure, warm_up
from pipeline.project.samples import load_samples, stream_samples
from pipeline.quantize.candidates import Candidate, candidates
from pipeline.quantize.make import OnnxMaker
from pipeline.quantize.onnx.fused import fused
from pipeline.quantize.plan import Plan
from pipeline.quantize.recipes import Task
from pipeline.quantize.search.evaluator import Evaluator
from pipeline.quantize.search.outcome import Outcome
from pipeline.quantize.search.pursue import pursue
from pipeline.system.progress import Silent
from pipeline.workspace.artifacts import read_index, read_signature
from pipeline.workspace.results.ratio import Ratio
from pipeline.workspace.stage import Job

# isort: split
import onnxruntime as ort  # behind pipeline, which switches its telemetry off

os.environ["TORCH_CPP_LOG_LEVEL"] = "ERROR"
SIZE = 224
TARGET = "x86_64"
ROUNDS = 20
SECONDS = 0.15  # of a turn

Run = Callable[[dict[str, Array]], list[Array]]


@dataclass(frozen=True)
class Work:
    """One export: its configuration, the fp32 file, and a folder for what is made of it."""

    config: Config
    task: Task
    path: Path
    folder: Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("configs", nargs="+", type=Path, metavar="pipeline.toml")
    parser.add_argument("--only", nargs="*", help="peers: ort, nncf, openvino")
    given = parser.parse_args()
    print("model        made by              accuracy  fp32/int8 (95 %)         ms   bytes  fused")
    for path in given.configs:
        with tempfile.TemporaryDirectory() as folder:
            table(path, Path(folder), given.only)


def table(path: Path, folder: Path, only: list[str] | None) -> None:
    config = load_config(path)
    train = config.root / "runs" / config.name / "train"
    small = exported(config, train, folder / "small")
    large = enlarged(path, small, train, folder / "large")
    how = found(small, train, folder)
    row(config.name, "fp32", small, large, small.path, large.path)
    if how is not None:
        row(config.name, "pipeline auto", small, large, ours(small, how), ours(large, how))
        print(f"             ({how.name})")
    else:
        print(f"{config.name:12} pipeline auto        float ships")
    for name, peer in PEERS.items():
        if only is None or name in only:
            row(config.name, TITLES[name], small, large, peer(small), peer(large))


def sized(path: Path) -> Config:
    return load_config(path, [f"input.size=[{SIZE},{SIZE}]"])


def enlarged(path: Path, small: Work, train: Path, folder: Path) -> Work:
    """The same weights for pictures of 224 × 224, or as they are: some models take one size."""
    try:
        return exported(sized(path), train, folder)
    except UsageError:
        print(f"             takes {small.config.input.size} only: its time is at that size")
        return small


def exported(config: Config, train: Path, folder: Path) -> Work:
    out, scratch = folder / "export", folder / "scratch"
    for each in (out, scratch):
        each.mkdir(parents=True)
    config = config.model_copy(
        update={"export": config.export.model_copy(update={"formats": ("onnx",)})}
    )
    pipeline.export.run(Job(config, {"train": train}, out, scratch, Silent()))
    (source,) = read_index(out)
    with Silent().bar("", None) as bar:
        task = Task(
            config, source, out / source.file, read_signature(out), train, scratch, bar, TARGET
        )
    return Work(config, task, out / source.file, folder)


def found(work: Work, train: Path, folder: Path) -> Candidate | None:
    """What the search takes at the size that the model was trained at."""
    scratch = folder / "search"
    scratch.mkdir()
    with Terminal().bar("search", None) as bar:
        outcome = search(replace(work.task, scratch=scratch, bar=bar))
    print(f"             {outcome.why}")
    return outcome.best.candidate if outcome.best else None


def search(task: Task, minutes: float = 10) -> Outcome:
    """As `auto` does it, on a model with convolutions and linear layers."""
    evaluator = Evaluator(task.config, task.signature, task.source, task.path, task.scratch)
    given = candidates("onnx", TARGET, ["convolutions", "linear layers"])
    plan = Plan(task.source, TARGET, tuple(given))
    return pursue(plan, task, evaluator, minutes, lambda trial, runner: None)


def ours(work: Work, candidate: Candidate) -> Path:
    path = work.folder / "ours.onnx"
    path.write_bytes(OnnxMaker(work.task).make(candidate).data)
    return path


def ort_default(work: Work) -> Path:
    """`quantize_static` with nothing set, as its documentation shows it."""
    from onnxruntime.quantization import CalibrationDataReader, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.feeds = feeds(work)

        def get_next(self) -> dict[str, Array] | None:
            return next(self.feeds, None)

    path = work.folder / "ort.onnx"
    quantize_static(str(prepared(work)), str(path), Reader())
    return path


def nncf_default(work: Work) -> Path:
    import nncf

    nncf.set_log_level(logging.ERROR)
    data = nncf.Dataset(list(feeds(work)))
    model = nncf.quantize(onnx.load(prepared(work)), data)
    path = work.folder / "nncf.onnx"
    onnx.save(model, path)
    return path


def openvino_default(work: Work) -> Path:
    import nncf
    import openvino

    nncf.set_log_level(logging.ERROR)
    model = openvino.convert_model(work.path)
    data = nncf.Dataset([list(each.values()) for each in feeds(work)])
    path = work.folder / "openvino.xml"
    openvino.save_model(nncf.quantize(model, data), path, compress_to_fp16=False)
    return path


PEERS = {"ort": ort_default, "nncf": nncf_default, "openvino": openvino_default}
TITLES = {"ort": "onnxruntime default", "nncf": "NNCF default", "openvino": "OpenVINO int8"}


def prepared(work: Work) -> Path:
    from onnxruntime.quantization.shape_inference import quant_pre_process

    path = work.folder / "prepared.onnx"
    if not path.is_file():
        quant_pre_process(str(work.path), str(path), skip_symbolic_shape=True)
    return path


def feeds(work: Work) -> Iterator[dict[str, Array]]:
    """The calibration samples one by one."""
    signature, count = work.task.signature, work.config.quantize.calibration_samples
    for row in stream_samples(work.config, "calibration", count):
        yield {signature.inputs[0].name: signature.batched([row])[0]}


def row(model: str, title: str, small: Work, large: Work, at_small: Path, at_large: Path) -> None:
    accuracy = accuracy_of(small, at_small)
    ratio, ms = speed_of(large, at_large)
    size = bytes_of(at_small) / small.path.stat().st_size
    share = "–"
    if at_large.suffix == ".onnx":
        done, there = fused(at_large).convolutions
        share = f"{done}/{there}"
    times = f"{1 / ratio.ratio:.2f} ({1 / ratio.high:.2f} to {1 / ratio.low:.2f})"
    print(f"{model:12} {title:20} {accuracy:.4f}    {times:22} {ms:5.1f}   {size:.3f}  {share}")


def bytes_of(path: Path) -> int:
    other = path.with_suffix(".bin")
    return path.stat().st_size + (other.stat().st_size if path.suffix == ".xml" else 0)


def opened(path: Path) -> Run:
    if path.suffix == ".xml":
        import openvino

        core = openvino.Core()
        settings = {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY"}
        request = core.compile_model(path, "CPU", settings).create_infer_request()
        return lambda given: [request.infer(list(given.values()))[0]]
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda given: session.run(None, given)


def accuracy_of(work: Work, path: Path) -> float:
    samples, run = load_samples(work.config, "validation", 10**6), opened(path)
    name = work.task.signature.inputs[0].name
    right = 0
    for index, (picture,) in enumerate(samples.inputs):
        (scores, *_) = run({name: picture[None]})
        right += int(np.argmax(scores) == samples.targets[index])
    return right / len(samples)


def speed_of(work: Work, path: Path) -> tuple[Ratio, float]:
    """(its time against fp32 of ONNX Runtime, its median ms). Pictures come in full size."""
    shape = (1, *work.config.input.size, work.config.input.channels)
    picture = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    given = {work.task.signature.inputs[0].name: picture}
    runs = [opened(path), opened(work.path)]
    times: tuple[list[Any], list[Any]] = ([], [])
    for run in runs:
        warm_up(lambda _, run=run: run(given), 5, 0.3)  # type: ignore[misc]
    for _, number in turns(2, ROUNDS):
        spent = measure(lambda _, run=runs[number]: run(given), 3, SECONDS)  # type: ignore[misc]
        times[number].append([ns / 1e6 for ns in spent])
    ms = float(np.median([np.median(turn) for turn in times[0]]))
    return ratio_of_medians(*times), ms


if __name__ == "__main__":
    main()
