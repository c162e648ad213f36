"""Finds what is the user's: model, data, functions, weights, and the sources they are made of."""

import importlib
import importlib.util
import inspect
import sys
import traceback
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pipeline.config import Config
from pipeline.errors import PipelineError, SetupError, UsageError, brief
from pipeline.project.weights import check_content, load_weights

if TYPE_CHECKING:
    from torch import nn
    from torch.utils.data import Dataset

ZOOS = ("timm", "torchvision")  # entries such as timm:resnet18


Prepare = Callable[["nn.Module"], None]


def build_model(
    config: Config, prepare: Prepare | None = None, tell: Callable[[str], None] | None = None
) -> "nn.Module":
    """The user's model with its starting weights, in evaluation mode.

    A model that is a file: a TorchScript module, or an ONNX file behind a module's face. `prepare`
    sees the model before its weights are loaded; `tell` is given a line about what was taken of a
    file that holds more than them.
    Raises UsageError if it cannot be made, with the user's own traceback shortened.
    """
    from pipeline.graph.half import in_float32

    model = _make_model(config)
    if prepare is not None:
        prepare(model)
    if config.model.weights:
        path = config.path(config.model.weights)
        taken = load_weights(model, path, config.model.weights_key)
        if taken and tell is not None:
            tell(f"{path.name}: {taken}.")
    half = in_float32(model)
    if half and tell is not None:
        tell(f"The model's weights are {half}: it is computed in float32, here and in every file.")
    return model.eval()


def _unwrapped(model: "nn.Module") -> "nn.Module":
    """Without what torch.compile, DataParallel and DDP put around a model."""
    from torch.nn.parallel import DataParallel, DistributedDataParallel

    while True:
        if isinstance(model, DataParallel | DistributedDataParallel):
            model = model.module
        elif type(model).__name__ == "OptimizedModule":  # its class is in torch's compiler
            model = model._orig_mod  # type: ignore[assignment]
        else:
            return model


def _make_model(config: Config) -> "nn.Module":
    from torch import nn

    section = config.model
    if section.torchscript:
        return _open_torchscript(config.path(section.torchscript))
    if section.onnx:
        from pipeline.project.onnx_model import OnnxModel

        return OnnxModel(config.path(section.onnx))
    assert section.entry is not None
    zoo, _, name = section.entry.partition(":")
    function = _zoo_builder(zoo, name) if zoo in ZOOS else None
    function = function or load_entry(section.entry, config.root, "model.entry")
    with user_code(f"{section.entry}({_call(section.args)})", config.root):
        model = function(**section.args)
    if not isinstance(model, nn.Module):
        raise UsageError(
            f"{section.entry} returned a {type(model).__name__}, not a torch.nn.Module.",
            "[model] entry names a function that builds and returns the module.",
        )
    return _unwrapped(model)


def build_datasets(config: Config) -> "Mapping[str, Dataset[Any]]":
    """What `[data] entry` returns: datasets by split."""
    entry = config.data.entry
    assert entry is not None
    function = load_entry(entry, config.root, "data.entry")
    with user_code(f"{entry}({_call(config.data.args)})", config.root):
        datasets = function(**config.data.args)
    if not isinstance(datasets, Mapping):
        raise UsageError(
            f"{entry} returned a {type(datasets).__name__}, not a dict of datasets.",
            'Return {"train": ..., "validation": ...}.',
        )
    for split, dataset in datasets.items():
        if not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
            raise UsageError(
                f"{entry}: the {split!r} set is a {type(dataset).__name__} without a length.",
                "Return map-style datasets: __len__ and __getitem__.",
            )
    return datasets


def load_splits(config: Config, *splits: str) -> "list[Dataset[Any]]":
    """The user's datasets; `calibration` defaults to the training set.

    Raises UsageError for one that is missing or empty.
    """
    datasets = build_datasets(config)
    chosen = ["train" if s == "calibration" and s not in datasets else s for s in splits]
    for split in chosen:
        if split not in datasets:
            raise UsageError(
                f"{config.data.entry} returned {', '.join(sorted(datasets)) or 'nothing'}, "
                f"but no {split!r} set.",
                'build_data returns a dict with "train" and "validation".',
            )
        if not len(datasets[split]):  # type: ignore[arg-type]  # build_datasets has checked it
            raise UsageError(
                f"The {split} set of {config.data.entry} has no samples.",
                f'Make build_data return a non-empty dataset under "{split}".',
            )
    return [datasets[split] for split in chosen]


def load_entry(entry: str, root: Path, key: str) -> Callable[..., Any]:
    """The function behind `file.py:fn` or `package.module:fn`; `key` is what named it.

    Raises UsageError if there is no such file, module or function.
    """
    function = load_object(entry, root, key)
    if not callable(function):
        raise UsageError(f"{key}: {entry} is a {type(function).__name__}, not a function.")
    return function  # type: ignore[no-any-return]


def load_object(entry: str, root: Path, key: str) -> Any:
    """The same for anything that has a name there."""
    source, _, name = entry.rpartition(":")
    with user_code(f"{key} = {entry!r}", root):
        module = (
            _load_file(root / source, key)
            if source.endswith(".py")
            else _load_module(source, root, key)
        )
    if not hasattr(module, name):
        public = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        here = f" It has {', '.join(sorted(public)[:8])}." if public else ""
        raise UsageError(f"{key}: {source} has no function {name!r}.{here}")
    return getattr(module, name)


@contextmanager
def user_code(what: str, root: Path) -> Iterator[None]:
    """Runs code of the user's: an exception becomes a UsageError with their lines of it."""
    try:
        yield
    except PipelineError:
        raise
    except Exception as error:
        message = f"{what} raised {type(error).__name__}: {error}{their_lines(error, root)}"
        raise UsageError(message, _name_taken(error, root)) from error


def _name_taken(error: Exception, root: Path) -> str | None:
    """What to do where the user's code imports a package of theirs that has this program's name."""
    if not isinstance(error, ImportError) or (error.name or "").partition(".")[0] != "pipeline":
        return None
    own = next((p for p in (root / "pipeline", root / "pipeline.py") if p.exists()), None)
    if own is None:
        return None
    return (
        f"{own} cannot be imported here: `pipeline` is this program's own package. Rename it, or "
        'name files instead, as in entry = "pipeline/model.py:build", and import what lies beside '
        "them without the prefix."
    )


def their_lines(error: BaseException, root: Path) -> str:
    """The user's lines, below `root`, that an exception came through: each on a line of its own."""
    lines = []
    for frame in traceback.extract_tb(error.__traceback__):
        if _is_below(Path(frame.filename), root):
            file = Path(frame.filename).resolve().relative_to(root)
            lines.append(f"\n  {file}:{frame.lineno} in {frame.name}: {frame.line}")
    if isinstance(error, SyntaxError) and error.filename:
        lines.append(f"\n  {Path(error.filename).name}:{error.lineno}: {error.text}".rstrip())
    return "".join(lines)


def _zoo_builder(zoo: str, name: str) -> Callable[..., Any]:
    try:
        module = importlib.import_module("torchvision.models" if zoo == "torchvision" else zoo)
    except ImportError as error:
        raise SetupError(
            f"{zoo}:{name} needs {zoo}, which is not installed.",
            f"pip install 'edge-pipeline[{zoo}]'",
        ) from error
    known = module.list_models()
    if name not in known:
        import difflib

        near = ", ".join(difflib.get_close_matches(name, known, 3)) or "nothing similar"
        raise UsageError(f"model.entry: {zoo} has no model {name!r}.", f"It has {near}.")
    create = module.create_model if zoo == "timm" else module.get_model

    def build(**given: Any) -> Any:
        # TOML has no null; torchvision fetches backbones of detectors by default.
        args = {key: None if value == "none" else value for key, value in given.items()}
        if zoo == "torchvision" and "weights_backbone" in _parameters(module, name):
            args.setdefault("weights_backbone", None)
        for forbidden in ("pretrained", "weights", "weights_backbone"):
            if args.get(forbidden):
                raise UsageError(
                    f"model.args: {forbidden} = {args[forbidden]!r} would download weights.",
                    'Fetch them yourself and name the file: [model] weights = "FILE".',
                )
        return create(name, **args)

    return build


def _parameters(models: ModuleType, name: str) -> set[str]:
    return set(inspect.signature(models.get_model_builder(name)).parameters)


def _open_torchscript(path: Path) -> "nn.Module":
    from pipeline.formats.torchscript.load import load_script

    if not path.is_file():
        raise UsageError(f"There is no {path}.", "Check [model] torchscript.")
    check_content(path)
    try:
        return load_script(path)
    except RuntimeError as error:
        raise UsageError(
            f"{path} cannot be loaded by torch: {brief(error)}", "Check [model] torchscript."
        ) from error


def _load_file(path: Path, key: str) -> ModuleType:
    if not path.is_file():
        raise UsageError(f"{key}: there is no file {path}.")
    name = path.stem if path.stem.isidentifier() else f"user_{zlib.crc32(bytes(path))}"
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__file__", None) == str(path):
        return known
    if known is not None:  # a module of another project or library has that name
        name = f"_user_{name}"
    folder = str(path.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # so that DataLoader workers can pickle its classes
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _load_module(name: str, root: Path, key: str) -> ModuleType:
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            taken = _name_taken(error, root)
            where = "" if taken else f", neither installed nor in {root}"
            raise UsageError(f"{key}: there is no module {name!r}{where}.", taken) from error
        raise


def _is_below(path: Path, root: Path) -> bool:
    resolved = path.resolve()
    return resolved.is_relative_to(root) and "site-packages" not in resolved.parts


def _call(args: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in args.items())
