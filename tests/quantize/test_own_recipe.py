"""A recipe of the user's: in a file beside the configuration, or brought by a package."""

import json
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import onnx
import pytest

from pipeline.config.quantize import RECIPE_ENTRY_POINTS
from pipeline.errors import UsageError
from pipeline.quantize import recipes
from tests.quantize.quantize_cases import MODELS, PROJECTS, Exported, export

RECIPE = '''
import onnx
from onnx import numpy_helper
from pipeline import Quantized, Recipe, Task


def round_weights(task: Task) -> Quantized:
    """Weights of linear layers as float16, widened again when the file is loaded."""
    model = onnx.load(task.path)
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in list(model.graph.node):
        if node.op_type != "Gemm" or node.name in task.config.quantize.exclude:
            continue
        weight = stored[node.input[1]]
        narrow = numpy_helper.to_array(weight).astype("float16")
        weight.CopyFrom(numpy_helper.from_array(narrow, weight.name))
        cast = onnx.helper.make_node("Cast", [weight.name], [f"{weight.name}.wide"], to=1)
        node.input[1] = cast.output[0]
        model.graph.node.insert(0, cast)
    return Quantized(model.SerializeToString(deterministic=True), details={"rounded": "fp16"})


HALF = Recipe("half-weights", "onnx", "fp16", round_weights, kinds=("linear layers",))
NOT_ONE = 3
'''


@pytest.fixture
def mlp(tmp_path: Path) -> Exported:
    (tmp_path / "pipeline.toml").write_text(PROJECTS["mlp"])
    (tmp_path / "models.py").write_text(MODELS)
    (tmp_path / "half.py").write_text(RECIPE, encoding="utf-8")
    return export(tmp_path, 'export.formats=["onnx"]')


def test_a_recipe_in_a_file_beside_the_configuration(mlp: Exported) -> None:
    result = mlp.quantize('quantize.recipes=["half.py:HALF"]', "quantize.gate=true")
    (artifact,) = result.artifacts.values()
    assert (artifact.id, artifact.precision) == ("onnx-half-weights", "fp16")
    assert artifact.file == "model.half-weights.onnx"
    assert artifact.details["rounded"] == "fp16"
    assert artifact.details["layers"] == {"linear layers": "2 of 2"}
    model = onnx.load(result.path(artifact.id))
    assert {t.data_type for t in model.graph.initializer} >= {onnx.TensorProto.FLOAT16}
    report = json.loads((result.out / "quantize.json").read_text())
    assert list(report["artifacts"]) == ["onnx-half-weights"]


def test_its_file_is_a_source_of_the_stages(mlp: Exported) -> None:
    from pipeline.project.sources import source_hashes

    config = mlp.config('quantize.recipes=["half.py:HALF"]')
    before = source_hashes(config)
    assert "half.py" in before and "half.py" not in source_hashes(mlp.config())
    with (mlp.folder / "half.py").open("a") as file:
        file.write("# changed\n")
    assert source_hashes(config)["half.py"] != before["half.py"]


def test_a_recipe_that_a_package_brings(
    mlp: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An installed distribution, as its metadata lies in site-packages."""
    site = tmp_path / "site"
    info = site / "half_recipes-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "half_recipes.py").write_text(RECIPE, encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: half-recipes\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        f"[{RECIPE_ENTRY_POINTS}]\nhalf-weights = half_recipes:HALF\n"
    )
    monkeypatch.syspath_prepend(str(site))
    recipes._installed.cache_clear()
    try:
        result = mlp.quantize('quantize.recipes=["half-weights"]')
        assert list(result.artifacts) == ["onnx-half-weights"]
    finally:
        recipes._installed.cache_clear()
        sys.modules.pop("half_recipes", None)
    assert "half-weights" in metadata.entry_points(group=RECIPE_ENTRY_POINTS).names


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ("half.py:NOT_ONE", r"'half\.py:NOT_ONE' is a int, not a Recipe"),
        ("half.py:NONE", r"half\.py has no function 'NONE'"),
        ("no.py:HALF", r"there is no file .*no\.py"),
    ],
)
def test_what_is_no_recipe(mlp: Exported, recipe: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        mlp.quantize(f'quantize.recipes=["{recipe}"]')


def test_it_answers_nearly_as_before(mlp: Exported) -> None:
    import onnxruntime as ort

    result = mlp.quantize('quantize.recipes=["half.py:HALF"]')
    sample = np.random.default_rng(0).normal(size=(3, 12)).astype(np.float32)
    answers = []
    for path in (mlp.fp32("onnx"), result.path("onnx-half-weights")):
        session = ort.InferenceSession(str(path))
        answers.append(session.run(None, {session.get_inputs()[0].name: sample})[0])
    assert 0 < np.abs(answers[0] - answers[1]).max() < 1e-2
