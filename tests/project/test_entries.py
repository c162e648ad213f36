"""The user's model, data and functions: found, run, and explained when they fail."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from pipeline.config import Config
from pipeline.config.file import load_config
from pipeline.errors import DamagedError, SetupError, UsageError
from pipeline.project.entries import build_datasets, build_model, load_entry
from pipeline.project.sources import packages_of, source_hashes

LINEAR = "from torch import nn\ndef build():\n    return nn.Linear(2, 2)"


def project(folder: Path, code: str, toml: str = '[model]\nentry = "mine.py:build"\n') -> Config:
    (folder / "mine.py").write_text(code, encoding="utf-8")
    (folder / "pipeline.toml").write_text(toml, encoding="utf-8")
    return load_config(folder)


def test_a_file_a_module_and_a_zoo(tmp_path: Path) -> None:
    config = project(tmp_path, "from torch import nn\ndef build(n=1):\n    return nn.Linear(n, 2)")
    assert isinstance(build_model(config), nn.Linear)
    (tmp_path / "pkg_of_test").mkdir()
    (tmp_path / "pkg_of_test" / "__init__.py").write_text("from mine import build")
    assert callable(load_entry("pkg_of_test:build", tmp_path, "model.entry"))
    toml = '[model]\nentry = "timm:resnet10t"\nargs = { num_classes = 3, in_chans = 1 }\n'
    model = build_model(project(tmp_path, "", toml))
    assert model(torch.zeros(1, 1, 32, 32)).shape == (1, 3)
    assert not model.training


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import nothing_like_it\n", r"ModuleNotFoundError.*\n  mine\.py:1"),
        ("x = 1 / 0\n", r"ZeroDivisionError.*\n  mine\.py:1"),
        ("def build(:\n", r"SyntaxError"),
        ("def build():\n    return {}['a']\n", r"KeyError: 'a'\n  mine\.py:2 in build"),
        ("def build(width):\n    return 1\n", r"missing 1 required positional argument"),
        ("def build():\n    return 'x'\n", r"returned a str, not a torch\.nn\.Module"),
        ("def bild():\n    pass\n", r"mine\.py has no function 'build'\. It has bild"),
    ],
)
def test_mistakes_in_the_users_file_show_their_lines(tmp_path: Path, code: str, said: str) -> None:
    config = project(tmp_path, code)
    with pytest.raises(UsageError, match=said) as caught:
        build_model(config)
    assert "site-packages" not in caught.value.message


def test_a_missing_file_module_and_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no file .*none\.py"):
        load_entry("none.py:f", tmp_path, "model.entry")
    with pytest.raises(UsageError, match="there is no module 'nothing_like_it'"):
        load_entry("nothing_like_it:f", tmp_path, "model.entry")
    config = project(tmp_path, "", '[model]\nentry = "timm:resnet18x"\n')
    with pytest.raises(UsageError, match="timm has no model 'resnet18x'") as caught:
        build_model(config)
    assert "resnet18" in (caught.value.hint or "")


def test_nothing_is_downloaded(tmp_path: Path) -> None:
    toml = '[model]\nentry = "timm:resnet10t"\nargs = { pretrained = true }\n'
    with pytest.raises(UsageError, match="would download weights"):
        build_model(project(tmp_path, "", toml))


def test_a_zoo_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)  # as Python marks a module that cannot be had
    with pytest.raises(SetupError, match="not installed") as caught:
        build_model(project(tmp_path, "", '[model]\nentry = "timm:resnet18"\n'))
    assert "pip install" in (caught.value.hint or "")


def test_weights_are_loaded_and_misfits_are_named(tmp_path: Path) -> None:
    toml = '[model]\nentry = "mine.py:build"\nweights = "w.pt"\n'
    config = project(
        tmp_path, "from torch import nn\ndef build():\n    return nn.Linear(2, 2)", toml
    )
    with pytest.raises(UsageError, match="There is no weights file"):
        build_model(config)
    torch.save({"weight": torch.full((2, 2), 3.0), "bias": torch.zeros(2)}, tmp_path / "w.pt")
    assert torch.equal(build_model(config).get_parameter("weight"), torch.full((2, 2), 3.0))
    torch.save({"weight": torch.zeros(3, 2), "extra": torch.zeros(1)}, tmp_path / "w.pt")
    with pytest.raises(UsageError, match=r"missing bias; unexpected extra; weight is \(3, 2\)"):
        build_model(config)
    (tmp_path / "w.pt").write_bytes(b"not a file of torch's")
    with pytest.raises(DamagedError, match=r"w\.pt cannot be loaded"):
        build_model(config)


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("exploded"),))  # type: ignore[return-value]


def test_pickled_code_in_weights_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": Bomb()}, tmp_path / "w.pt")
    toml = '[model]\nentry = "mine.py:build"\nweights = "w.pt"\n'
    config = project(
        tmp_path, "from torch import nn\ndef build():\n    return nn.Linear(2, 2)", toml
    )
    with pytest.raises(DamagedError, match="without running code"):
        build_model(config)
    assert not (tmp_path / "exploded").exists()


def test_data_of_the_wrong_kind(tmp_path: Path) -> None:
    toml = '[model]\nentry = "mine.py:build"\n[data]\nentry = "mine.py:data"\n'
    config = project(tmp_path, "def data():\n    return [1]\n", toml)
    with pytest.raises(UsageError, match="returned a list, not a dict of datasets"):
        build_datasets(config)
    (tmp_path / "sub").mkdir()
    config = project(tmp_path / "sub", "def data():\n    return {'train': iter([])}\n", toml)
    with pytest.raises(UsageError, match="'train' set is a list_iterator without a length"):
        build_datasets(config)


def test_sources_are_found_without_importing(tmp_path: Path) -> None:
    toml = (
        '[model]\nentry = "mine.py:build"\n[data]\nentry = "own.data:load"\ndepends = ["*.csv"]\n'
    )
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "__init__.py").write_text("")
    (tmp_path / "own" / "data.py").write_text("from . import parts\nraise SystemExit")
    (tmp_path / "own" / "parts.py").write_text("import numpy")
    (tmp_path / "helper.py").write_text("x = 1")
    (tmp_path / "unrelated.py").write_text("x = 1")
    config = project(tmp_path, "import helper\n", toml)
    with pytest.raises(UsageError, match=r"nothing matches '\*\.csv'"):
        source_hashes(config)
    (tmp_path / "a.csv").write_text("1")
    before = source_hashes(config)
    expected = ["a.csv", "helper.py", "mine.py", "own/data.py", "own/parts.py"]
    assert sorted(set(before) - {"own/__init__.py"}) == expected
    (tmp_path / "helper.py").write_text("x = 2")
    after = source_hashes(config)
    assert {name for name in before if before[name] != after[name]} == {"helper.py"}


def test_packages_that_an_entry_names(tmp_path: Path) -> None:
    toml = '[model]\nentry = "timm:resnet10t"\n[data]\nentry = "mine:build"\n'
    assert packages_of(project(tmp_path, "", toml)) == ["timm"]


def test_a_package_of_theirs_that_has_this_programs_name(tmp_path: Path) -> None:
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "model.py").write_text(LINEAR)
    with pytest.raises(UsageError, match=r"there is no module 'pipeline\.model'\.") as caught:
        load_entry("pipeline.model:build", tmp_path, "model.entry")
    assert "this program's own package" in (caught.value.hint or "")
    config = project(tmp_path, "from pipeline.model import build")
    with pytest.raises(UsageError, match=r"No module named 'pipeline\.model'\n  mine") as caught:
        build_model(config)
    assert 'entry = "pipeline/model.py:build"' in (caught.value.hint or "")
    assert callable(load_entry("pipeline/model.py:build", tmp_path, "model.entry"))  # the way out


@pytest.mark.parametrize("wrapped", ["torch.compile(M())", "nn.DataParallel(M())"])
def test_what_is_put_around_a_model_is_taken_off(tmp_path: Path, wrapped: str) -> None:
    code = "import torch\nfrom torch import nn\nM = lambda: nn.Linear(2, 2)\n"
    config = project(tmp_path, f"{code}build = lambda: {wrapped}\n")
    assert type(build_model(config)) is nn.Linear


@pytest.mark.parametrize("args", [{}, {"weights_backbone": "none", "weights": "none"}])
def test_a_zoo_fetches_no_backbone(monkeypatch: pytest.MonkeyPatch, args: dict[str, str]) -> None:
    def fetch(*_: object, **__: object) -> None:
        raise AssertionError("something was to be fetched")

    monkeypatch.setattr("torch.hub.load_state_dict_from_url", fetch)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fetch)
    section = {"entry": "torchvision:lraspp_mobilenet_v3_large", "args": args}
    model = build_model(Config.model_validate({"model": section}))
    assert sum(parameter.numel() for parameter in model.parameters()) > 3e6
