"""pipeline.toml: what is read, what is refused, and in which words."""

import re
from pathlib import Path

import pytest

from pipeline.config.file import load_config
from pipeline.errors import UsageError

MINIMAL = '[model]\nentry = "m.py:f"\n'


def config_file(folder: Path, text: str) -> Path:
    file = folder / "pipeline.toml"
    file.write_text(text, encoding="utf-8")
    return file


def refusal(folder: Path, text: str) -> str:
    file = config_file(folder, text)
    with pytest.raises(UsageError) as caught:
        load_config(file)
    assert str(file) in caught.value.message
    return caught.value.message


def test_defaults_and_the_folder_as_name(tmp_path: Path) -> None:
    folder = tmp_path / "my model ø"
    folder.mkdir()
    config_file(folder, MINIMAL)
    config = load_config(folder)
    assert config.name == "my-model"
    assert config.root == folder
    assert config.path("a/b.txt") == folder / "a/b.txt"
    assert config.quantize.recipes == ("auto",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (MINIMAL + "[trian]\nepochs = 1", r"unknown key 'trian'\. Did you mean 'train'\?"),
        (MINIMAL + "[train]\nepoch = 1", r"unknown key 'train\.epoch'\. Did you mean 'epochs'\?"),
        (MINIMAL + "[verify.tolerances.int8]\ndrop = 1", r"Did you mean 'max_drop'\?"),
        (MINIMAL + "[train]\nepochs = -1", r"train\.epochs: input should be greater than"),
        (MINIMAL + '[output]\nmetirc = "x"', r"'output\.metirc'\. Did you mean 'metric'\?"),
        ("", r"model: field required"),
        ("[model]", r"give exactly one of entry, torchscript, onnx; given: none"),
        ('[model]\nentry = "a:b"\nonnx = "c"', r"given: entry and onnx"),
        ('[model]\nentry = "resnet18"', r"'resnet18' is not of the form"),
        ('[model]\nonnx = "a.onnx"\n[train]\nepochs = 3', r"a\.onnx cannot be trained"),
        (
            MINIMAL + '[quantize]\nrecipes = ["int4"]',
            r"'int4' is not a recipe; there are auto, int8-static",
        ),
        (MINIMAL + '[quantize]\nrecipes = ["tflite:fp16"]', r"the format is onnx or torchscript"),
        (MINIMAL + '[input]\nkind = "tensor"\nsize = [1, 1]', r'size belong to kind = "image"'),
        (MINIMAL + '[input]\nkind = "image"\nmean = [0.1, 0.2]', r"mean needs one value, or one"),
        (MINIMAL + '[input]\nkind = "image"\nstd = [0.0]', r"std must not be 0"),
        (MINIMAL + "[bench]\nruns = 10", r"bench\.runs: input should be greater than or equal"),
        ('name = "a/b"\n' + MINIMAL, r"name: letters, digits"),
        ("root = 1\n" + MINIMAL, r"unknown key 'root'"),
        ("[model\n", r"is not valid TOML"),
        (MINIMAL + '[output]\nlabels = ["a"]', r"output\.labels belong to"),
    ],
)
def test_what_is_refused_names_the_key_and_the_remedy(tmp_path: Path, text: str, said: str) -> None:
    assert re.search(said, refusal(tmp_path, text))


def test_every_mistake_is_named_at_once(tmp_path: Path) -> None:
    message = refusal(tmp_path, MINIMAL + "[train]\nepochs = -1\nepoch = 2\n[bench]\nthreads = 0")
    assert message.count("\n  - ") == 3


def test_overrides_win_and_are_checked(tmp_path: Path) -> None:
    file = config_file(tmp_path, MINIMAL + "[train]\nepochs = 5")
    config = load_config(
        file, ["train.epochs=7", "train.optimizer=SGD", "input.kind=image", "input.size=[4, 6]"]
    )
    assert (config.train.epochs, config.train.optimizer, config.input.size) == (7, "SGD", (4, 6))
    with pytest.raises(UsageError, match=r"train\.epchs"):
        load_config(file, ["train.epchs=7"])
    with pytest.raises(UsageError, match="not of the form key=value"):
        load_config(file, ["train.epochs"])
    with pytest.raises(UsageError, match="epochs is a value, not a section"):
        load_config(file, ["train.epochs.x=1"])


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no") as caught:
        load_config(tmp_path)
    assert "pipeline init" in (caught.value.hint or "")


def test_labels_from_a_file(tmp_path: Path) -> None:
    text = MINIMAL + '[output]\nkind = "classification"\nlabels = "labels.txt"'
    config = load_config(config_file(tmp_path, text))
    with pytest.raises(UsageError, match=r"labels\.txt cannot be read"):
        config.labels()
    (tmp_path / "labels.txt").write_text("née\n\nzwei\n", encoding="utf-8")
    assert config.labels() == ("née", "zwei")


def test_what_cannot_be_trained_is_not(tmp_path: Path) -> None:
    assert load_config(config_file(tmp_path, MINIMAL)).epochs == 0  # no data
    config = load_config(config_file(tmp_path, '[model]\nonnx = "a.onnx"'))
    assert config.epochs == 0
    assert config.formats == ("onnx",)
