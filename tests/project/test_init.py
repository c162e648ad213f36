"""A new project: complete, true to the defaults, and it runs at once."""

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from pipeline.bundle import open_bundle
from pipeline.config import Config, ImageConfig, NamedInputConfig, NamedOutputConfig, Tolerances
from pipeline.config.file import load_config
from pipeline.errors import SetupError, UsageError
from pipeline.project.init import FILES, write_project
from tests.conftest import Cli

IMAGE_KEYS = ImageConfig.model_fields.keys()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Not there yet, with a space and letters beyond ASCII in its name."""
    return tmp_path / "mein schönes Modell"


def test_it_says_what_was_written_and_a_next_command_that_can_be_pasted(
    folder: Path, cli: Cli
) -> None:
    done = cli("init", folder.name, cwd=folder.parent)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    for file in FILES:
        assert f"wrote {folder.name}/{file}" in done.stdout
    command = done.stdout.partition("Next:")[2].strip()
    words = subprocess.run(
        ["sh", "-c", f'pipeline() {{ printf "%s\\n" "$@"; }}; {command}'],
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    assert words == ["run", "-c", folder.name]


def test_an_empty_folder_or_one_with_other_files_will_do(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert write_project(tmp_path, None) == [tmp_path / file for file in FILES]
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("file", FILES)
def test_nothing_is_overwritten_unless_forced(folder: Path, file: str, cli: Cli) -> None:
    folder.mkdir()
    (folder / file).write_text("mine")
    done = cli("init", folder)
    assert done.returncode == 2
    assert file in done.stderr
    assert "--force" in done.stderr
    assert [path.name for path in folder.iterdir()] == [file]
    assert (folder / file).read_text() == "mine"

    assert cli("init", folder, "--force").returncode == 0
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    assert (folder / file).read_text() != "mine"


def test_a_name_is_the_bundles(folder: Path) -> None:
    write_project(folder, "shapes-2")
    assert load_config(folder).name == "shapes-2"


def test_without_a_name_the_folders_is_taken_as_far_as_it_is_portable(folder: Path) -> None:
    write_project(folder, None)
    assert load_config(folder).name == "mein-sch-nes-Modell"


@pytest.mark.parametrize("name", ["a b", "../up", "", "Größe", "a" * 65])
def test_a_name_that_is_no_file_name_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name"):
        write_project(folder, name)
    assert not folder.exists()


def test_a_file_in_place_of_the_folder_is_said_so(folder: Path) -> None:
    folder.write_text("a file")
    with pytest.raises(UsageError, match="is a file, not a folder"):
        write_project(folder, None)
    with pytest.raises(SetupError, match="cannot be written"):
        write_project(folder / "below", None)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_said_so(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(SetupError, match="cannot be written"):
        write_project(tmp_path, None)


def shown(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The written configuration as it stands, and with every key behind a # in force."""
    text = write_project(folder, None)[0].read_text(encoding="utf-8")
    every = re.sub(r"^#(?=\w+ = |\[)", "", text, flags=re.MULTILINE)
    return tomllib.loads(text), tomllib.loads(every)


def test_every_key_is_shown(folder: Path) -> None:
    _, every = shown(folder)
    sections = Config.model_json_schema()["$defs"]
    for name, field in Config.model_fields.items():
        if name == "root":
            continue
        assert name in every, name
        section = sections.get(getattr(field.annotation, "__name__", ""))
        for key in section["properties"] if section else ():
            assert key in every[name], f"{name}.{key}"
    assert every["inputs"]["state"].keys() >= NamedInputConfig.model_fields.keys() - IMAGE_KEYS
    assert every["inputs"]["frame"]["kind"] == "image"
    assert every["outputs"]["boxes"].keys() == NamedOutputConfig.model_fields.keys()
    assert every["verify"]["tolerances"]["int8"].keys() == Tolerances.model_fields.keys()


def test_a_key_behind_a_hash_shows_its_default(folder: Path) -> None:
    set_, every = shown(folder)
    default = Config.model_validate({"model": {"entry": "model.py:build_model"}})
    defaults = json.loads(default.model_dump_json(by_alias=True))
    for section, keys in every.items():
        if not isinstance(keys, dict) or section in ("inputs", "outputs"):
            continue
        for key, value in keys.items():
            own = defaults[section][key]
            if key not in set_[section] and own not in (None, "", {}):
                assert value == own, f"{section}.{key}"


@pytest.mark.slow
def test_it_runs_at_once(folder: Path, cli: Cli) -> None:
    assert cli("init", folder).returncode == 0
    # One thread: two slow each other down many times on a machine with other work to do.
    quick = (
        "train.threads=1",
        "bench.seconds=0.05",
        "bench.batch_sizes=[1]",
        'bench.runtimes=["onnxruntime"]',
    )
    done = cli("run", "-c", folder, "--json", *(word for key in quick for word in ("--set", key)))
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert result["verdict"] == "pass"
    verdict = json.loads(Path(result["workspace"], "verify", "verdict.json").read_text())
    assert verdict["metric"]["reference"] >= 0.9  # it has learned
    bundle = open_bundle(Path(result["bundle"]))
    assert bundle.manifest.name == "mein-sch-nes-Modell"
    precisions = {a.precision for a in bundle.manifest.artifacts}
    assert precisions >= {"fp32", "fp16"}
    # What is measured no faster here is said.
    formats = {a.format for a in bundle.manifest.artifacts if a.precision == "int8"}
    assert bundle.manifest.description.count("is float: ") == 2 - len(formats)
