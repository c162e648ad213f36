"""What people meet in public, one small project each: every row passes, or a sentence says why not.

No run ends with a traceback, a mistake of this program, or a format that is missing without a word.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline import UsageError, Workspace, load_config, run, verdict_of
from pipeline.system.progress import Silent

PROJECT = Path(__file__).parent / "project"
ALL = ("int8-static", "int8-dynamic", "fp16")


@dataclass(frozen=True)
class Case:
    """`model` and `data` are functions of the project's models.py, `keys` more of pipeline.toml.
    `lacks` are artifacts that cannot be made, `says` a part of what is told; `refused` a part of
    the error where nothing can be made at all, `open` of why rows of ONNX are inconclusive."""

    model: str
    data: str | None = None
    keys: str = ""
    recipes: Sequence[str] = ALL
    lacks: Sequence[str] = ()
    says: str = ""
    refused: str = ""
    open: str = ""

    def write(self, folder: Path) -> None:
        shutil.copy(PROJECT / "models.py", folder)
        data = f'[data]\nentry = "models.py:{self.data}"\n' if self.data else ""
        recipes = ", ".join(f'"{recipe}"' for recipe in self.recipes)
        (folder / "pipeline.toml").write_text(
            f'name = "case"\n[model]\nentry = "models.py:{self.model}"\n{data}[quantize]\n'
            f"recipes = [{recipes}]\ngate = false\ncalibration_samples = 16\n"
            f"[verify]\nsamples = 32\ndrift = false\n{self.keys}"
        )


def inputs(**tables: str) -> str:
    return "".join(f"[inputs.{name}]\n{keys}\n" for name, keys in tables.items())


TORCHSCRIPT = ("torchscript-int8-static", "torchscript-int8-dynamic", "torchscript-fp32")

CASES = {
    "a picture and a number": Case(
        "PictureAndAge",
        "picture_and_age",
        inputs(picture='kind = "image"\nsize = [16, 16]', age='kind = "tensor"'),
    ),
    "a picture and a number, unsaid": Case(
        "PictureAndAge",
        "picture_and_age",
        '[input]\nkind = "image"\n',
        refused="is a dict of age, picture",
    ),
    "an input without a batch": Case(
        "Anchored",
        "anchored",
        '[input]\nshapes = { x = ["batch", 8], anchors = [5, 8] }\n',
    ),
    "time first, a state in and out": Case(
        "Recurrent",
        "recurrent",
        '[input]\nshapes = { x = ["time", "batch", 5], h0 = [1, "batch", 7] }\n',
        lacks=("torchscript-int8-static", "onnx-int8-static", "onnx-int8-dynamic"),
        says="the model has none (1 recurrent layers)",
    ),
    "bags of ids": Case(
        "Bags",
        None,
        inputs(
            ids='shape = ["n"]\ndtype = "int64"\nvalues = { min = 0, max = 49 }',
            offsets='shape = ["batch"]\ndtype = "int64"\nvalues = { one_of = [0] }',
        ),
        recipes=("int8-dynamic",),
    ),
    "bags of ids, unsaid": Case(
        "Bags",
        None,
        '[input]\nshapes = { ids = ["n"], offsets = ["batch"] }\n'
        'dtypes = { ids = "int64", offsets = "int64" }\n',
        refused="offsets[0] has to be 0",
    ),
    "as many boxes as there are": Case(
        "Detector",
        "pictures",
        '[input]\nkind = "image"\nsize = [32, 32]\n[export]\ndynamic_batch = false\n',
        recipes=("fp16",),
        lacks=("torchscript-fp32",),
        says="torchvision::nms, which is not allowed",
    ),
    "constants among the outputs": Case(
        "Constants", "rows", lacks=("torchscript-int8-static", "torchscript-int8-dynamic")
    ),
    "outputs called as inputs": Case(
        "PassesThrough",
        "rows_and_ids",
        '[input]\nshapes = { x = ["batch", 8], ids = ["batch"] }\n',
        says="The output 'x' is called 'x_out'",
    ),
    "nested inputs and outputs": Case(
        "Nested", "nested", lacks=("torchscript-int8-static",), says="torch.fx"
    ),
    "a mask of padding": Case(
        "Text",
        "text",
        lacks=("torchscript-int8-static",),
        says="later = torch.ones(length, length)",
    ),
    "a mask of padding in torch's encoder": Case("Encoder", "padded"),
    "ids of several vocabularies": Case("Categories", "categories"),
    "boxes that begin before they end": Case(
        "Kept",
        "boxes",
        '[input]\nshapes = { boxes = ["batch", 6, 4], scores = ["batch", 6] }\n',
        lacks=(*TORCHSCRIPT, *(f"onnx-{recipe}" for recipe in ALL)),
        says="the model has none (no layer with weights)",
    ),
    "long audio": Case(
        "Waves",
        "waves",
        '[input]\nshapes = { wave = ["batch", "samples"] }\n',
        lacks=("torchscript-int8-dynamic", "onnx-int8-dynamic"),
    ),
    "a function of autograd": Case("Stepped", "rows", recipes=("int8-static", "int8-dynamic")),
    "a model that writes into its input": Case(
        "Writes",
        "rows",
        lacks=("torchscript-int8-static",),
        says="x[..., :2].mul_(0.5) writes into",
    ),
    "an in-place statement": Case("Clamped", "planes"),
    "a cache by shape": Case(
        "Caches", "rows", lacks=("torchscript-int8-static",), says="self.cache[x.shape[1]]"
    ),
    "a buffer that forward changes": Case("Averages", "rows", refused="its forward changes centre"),
    "None in a sample": Case("Scaled", "with_none", refused="scale is None"),
    "weights that are computed": Case(
        "Normed", "rows", says="Computed once, as they stay after training: a.weight"
    ),
    "a convolution that norms share": Case(
        "Shared",
        "planes",
        lacks=("torchscript-int8-static",),
        says="the model with batch norms folded into its layers (torch.ao) gives other answers",
    ),
    "grouped transposed convolutions": Case("Upward", "planes", recipes=("int8-static", "fp16")),
    "a Fourier transform": Case(
        "Spectrum",
        "planes",
        recipes=("int8-static", "fp16"),
        lacks=("torchscript-int8-static",),
        says="aminmax not implemented for ComplexFloat",
    ),
    "projections of an LSTM": Case(
        "Projected",
        None,
        '[input]\nshapes = { x = ["batch", "time", 5] }\n',
        recipes=(),
        lacks=("onnx-fp32",),
        says="Left out: ONNX",
    ),
    "half precision": Case(
        "half",
        "rows",
        lacks=("torchscript-int8-static",),
        says="weights are bfloat16: it is computed in float32",
    ),
    "lazy modules": Case("lazy", "planes"),
    "a compiled module": Case("compiled", "rows"),
    "pooling to a size": Case("pooled", "planes"),
    "the older exporter and a picture": Case(
        "pooled",
        None,
        '[input]\nkind = "image"\nsize = [17, 17]\n[export]\nexporter = "legacy"\n',
        recipes=(),
    ),
    "a chaotic model": Case(
        "Chaotic",
        "rows",
        recipes=(),
        says="the model itself moves by",
        open="output is not judged on ",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_case(name: str, tmp_path: Path) -> None:
    case, report = CASES[name], Silent()
    case.write(tmp_path)
    config = load_config(tmp_path)
    if case.refused:
        with pytest.raises(UsageError) as caught:
            run(config, report=report, until="verify")
        assert case.refused in caught.value.message
        assert caught.value.hint
        return
    run(config, report=report, until="verify")
    verdict = verdict_of(Workspace(tmp_path / "runs" / "case"))
    assert verdict is not None
    wrong = [row for row in verdict.rows if row.verdict != "pass"]
    if case.open:
        assert {row.format for row in wrong} == {"onnx"}
        assert all(row.verdict == "inconclusive" and case.open in row.open[0] for row in wrong)
    else:
        assert [row.why for row in wrong] == []
    assert {row.artifact for row in verdict.rows} == wanted(case) - set(case.lacks)
    told = "\n".join([*report.notes, *report.warnings])
    assert case.says in told


def wanted(case: Case) -> set[str]:
    """What could be made: fp16 is a recipe of ONNX alone."""
    both = [recipe for recipe in ("fp32", *case.recipes) if recipe != "fp16"]
    made = {f"{format}-{recipe}" for format in ("torchscript", "onnx") for recipe in both}
    return made | ({"onnx-fp16"} if "fp16" in case.recipes else set())
