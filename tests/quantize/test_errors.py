"""A recipe that cannot be, or changes nothing, says so, why, and what would do."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.config import Config, ExportConfig
from pipeline.config.file import load_config
from pipeline.errors import UsageError
from pipeline.quantize.exclude_patterns import ancestors, check_patterns, excluded
from pipeline.quantize.plan import plan
from pipeline.workspace.artifacts import Artifact
from tests.quantize.quantize_cases import Exported, answer

Project = Callable[[str], Exported]


def artifact(format: str) -> Artifact:
    return Artifact(f"{format}-fp32", format, "fp32", None, "model", 1, "", 18)  # type: ignore[arg-type]


def config(*recipes: str, **model: str) -> Config:
    model = model or {"entry": "m.py:build"}
    return Config.model_validate({"model": model, "quantize": {"recipes": recipes}})


BOTH = [artifact("torchscript"), artifact("onnx")]


def chosen(config: Config, sources: list[Artifact] = BOTH) -> list[str]:
    return [str(planned.named) for planned in plan(config, sources, no_layers)[0]]


def no_layers(source: Artifact) -> list[str]:
    return []


def test_a_recipe_without_format_is_for_all_that_have_it() -> None:
    assert chosen(config("int8-static", "fp16")) == [
        "torchscript:int8-static",
        "onnx:int8-static",
        "onnx:fp16",
    ]
    assert chosen(config("onnx:int8-dynamic", "onnx:int8-dynamic")) == ["onnx:int8-dynamic"]
    assert chosen(config()) == []


@pytest.mark.parametrize(
    ("recipe", "sources", "said"),
    [
        ("torchscript:fp16", BOTH, "no fp16 for torchscript"),
        ("onnx:int8-static", BOTH[:1], "needs the onnx export; there is torchscript"),
        ("fp16", BOTH[:1], "exists for none of the exported formats"),
    ],
)
def test_a_recipe_that_cannot_be(recipe: str, sources: list[Artifact], said: str) -> None:
    formats = ExportConfig(formats=tuple(source.format for source in sources))
    asked = config(recipe).model_copy(update={"export": formats})
    with pytest.raises(UsageError, match=said) as caught:
        chosen(asked, sources)
    assert caught.value.hint


@pytest.mark.parametrize("recipe", ["onnx:int8-static", "fp16"])
def test_a_recipe_of_an_export_that_was_left_out(recipe: str) -> None:
    plans, skipped = plan(config(recipe, "int8-dynamic"), BOTH[:1], no_layers)
    assert [str(planned.named) for planned in plans] == ["torchscript:int8-dynamic"]
    assert [(skip.format, skip.reason) for skip in skipped] == [("onnx", "its export was left out")]


def test_a_torchscript_file_is_not_quantized_to_torchscript() -> None:
    plans, skipped = plan(config("int8-static", torchscript="m.pt"), BOTH, no_layers)
    assert [str(planned.named) for planned in plans] == ["onnx:int8-static"]
    (skip,) = skipped
    assert "m.pt is a finished TorchScript file" in skip.reason
    with pytest.raises(UsageError, match=r"m\.pt is a finished TorchScript file"):
        plan(config("torchscript:int8-dynamic", torchscript="m.pt"), BOTH, no_layers)


def test_an_unknown_recipe_names_the_key(tmp_path: Path) -> None:
    (tmp_path / "pipeline.toml").write_text(
        '[model]\nentry = "m.py:build"\n[quantize]\nrecipes = ["int4"]\n'
    )
    with pytest.raises(UsageError, match=r"quantize\.recipes: 'int4' is not a recipe"):
        load_config(tmp_path)


@pytest.mark.parametrize("format", ["onnx", "torchscript"])
def test_nothing_linear_to_quantize(project: Project, format: str) -> None:
    with pytest.raises(UsageError) as caught:
        project("convolutions").quantize(f'quantize.recipes=["{format}:int8-dynamic"]')
    assert f"{format}:int8-dynamic changed nothing" in caught.value.message
    assert "2 convolutions" in caught.value.message
    assert "int8-static" in str(caught.value.hint)


def test_a_model_of_other_layers_stays_float_and_is_told_so(project: Project) -> None:
    result = project("convolutions").quantize('quantize.recipes=["int8-dynamic"]')
    assert not result.artifacts
    others = {"torchscript": "int8-static", "onnx": "int8-static or int8-mixed or fp16"}
    for format, instead in others.items():
        (warning,) = (w for w in result.report.warnings if w.startswith(f"{format}: int8-dynamic"))
        assert "left out: changed nothing: it quantizes" in warning
        assert f"{instead} quantizes such a model" in warning


@pytest.mark.parametrize("recipe", ["onnx:int8-static", "torchscript:int8-static", "fp16"])
def test_everything_excluded(project: Project, recipe: str) -> None:
    with pytest.raises(UsageError, match="exclude keeps all") as caught:
        project("mlp").quantize(f'quantize.recipes=["{recipe}"]', 'quantize.exclude=["*"]')
    assert "exclude less" in str(caught.value.hint)


@pytest.mark.parametrize("recipe", ["int8-static", "int8-dynamic", "fp16"])
def test_a_model_without_weights(project: Project, recipe: str) -> None:
    with pytest.raises(UsageError, match=r"changed nothing: it quantizes .* has none"):
        project("nothing").quantize(f'quantize.recipes=["onnx:{recipe}"]')
    result = project("nothing").quantize(f'quantize.recipes=["{recipe}"]')
    assert not result.artifacts
    assert any("the model has none (no layer with weights)" in w for w in result.report.warnings)


def test_an_exclude_that_matches_nothing(project: Project) -> None:
    with pytest.raises(
        UsageError, match=r"quantize\.exclude: 'modl\.0' matches no layer"
    ) as caught:
        project("mlp").quantize('quantize.exclude=["modl.0"]')
    assert "model.0" in str(caught.value.hint)


def test_exclude_patterns() -> None:
    assert ancestors("a.b.c") == ["a", "a.b", "a.b.c"]
    assert excluded(["head*"], ["model.head.0"])
    assert excluded(["model.head"], ["model", "model.head"])
    assert not excluded(["head"], ["model.header"])
    check_patterns(["model.*"], {"model.first"})
    with pytest.raises(UsageError, match="matches no layer"):
        check_patterns(["first", "second"], {"model.first"})


def test_a_branch_on_values_stops_fx_with_the_line(project: Project) -> None:
    with pytest.raises(UsageError) as caught:
        project("branch").quantize()
    assert "torch.fx" in caught.value.message
    assert "models.py" in caught.value.message and "if x.sum() > 0" in caught.value.message
    assert "onnx:int8-static" in str(caught.value.hint)


def test_a_branch_survives_dynamic_quantization(project: Project) -> None:
    result = project("branch").quantize('quantize.recipes=["int8-dynamic"]')
    facts = result.facts("torchscript-int8-dynamic")
    assert facts.operators["quantized::linear_dynamic"] == 2
    assert "aten::gt" in facts.operators
    layers = result.summary["artifacts"]["torchscript-int8-dynamic"]["layers"]
    assert layers == {"linear layers": {"quantized": 2, "of": 2}}
    for x in (np.ones((2, 12), np.float32), -np.ones((2, 12), np.float32)):  # either way
        (expected,) = answer(project("branch").fp32("torchscript"), [x])
        (given,) = answer(result.path("torchscript-int8-dynamic"), [x])
        assert np.abs(given - expected).max() < 0.05


def test_an_engine_that_torch_lacks(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(
        type(torch.backends.quantized), "supported_engines", property(lambda self: ["x86"])
    )
    with pytest.raises(UsageError, match="torch has no 'qnnpack' here"):
        project("mlp").quantize(
            'quantize.recipes=["torchscript:int8-static"]', 'quantize.engine="qnnpack"'
        )


def test_globals_of_torch_are_put_back(project: Project) -> None:
    import torch

    before = torch.backends.quantized.engine, torch.get_num_threads()
    project("mlp").quantize(
        'quantize.recipes=["torchscript:int8-static"]', 'quantize.engine="onednn"'
    )
    assert (torch.backends.quantized.engine, torch.get_num_threads()) == before


def test_no_recipes_make_an_empty_index(project: Project) -> None:
    result = project("mlp").quantize("quantize.recipes=[]")
    assert result.artifacts == {}
    assert json.loads((result.out / "quantize.json").read_text())["artifacts"] == {}
