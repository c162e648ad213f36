"""How models of timm and torchvision were trained to see pictures: their own configuration."""

from typing import Any


def image_of_zoo(entry: str | None) -> dict[str, Any]:
    """The keys of `[input]` that a model of a zoo says: size, fit, crop_ratio, interpolation, mean,
    std. None of them for an entry of the user's, or what the zoo has no such words for. Nothing is
    fetched."""
    zoo, _, name = (entry or "").partition(":")
    try:
        return {"timm": _timm, "torchvision": _torchvision}[zoo](name)
    except (KeyError, ImportError, ValueError):  # building the model says what is wrong
        return {}


def _torchvision(name: str) -> dict[str, Any]:
    from torchvision.models import get_model_weights

    chain: Any = get_model_weights(name).DEFAULT.transforms()
    keys: dict[str, Any] = {}
    crop, resize = getattr(chain, "crop_size", None), getattr(chain, "resize_size", None)
    if crop and resize and len(crop) == len(resize) == 1:
        keys |= {"size": (crop[0], crop[0]), "fit": "crop", "crop_ratio": crop[0] / resize[0]}
        keys |= {"interpolation": chain.interpolation.value}
    if hasattr(chain, "mean") and hasattr(chain, "std") and not hasattr(chain, "min_size"):
        keys |= {"mean": tuple(chain.mean), "std": tuple(chain.std)}
    return _known(keys)


def _timm(name: str) -> dict[str, Any]:
    from timm.models import get_pretrained_cfg

    known = get_pretrained_cfg(name)
    if known is None:
        return {}
    _, height, width = known.input_size
    keys = {"size": (height, width), "fit": "crop", "crop_ratio": known.crop_pct}
    keys |= {"interpolation": known.interpolation, "mean": known.mean, "std": known.std}
    if known.crop_mode == "squash":
        keys |= {"fit": "stretch"}
        del keys["crop_ratio"]
    return _known(keys)


def _known(keys: dict[str, Any]) -> dict[str, Any]:
    """Without a way to resize that this program has not."""
    if keys.get("interpolation") not in (None, "bilinear", "bicubic", "nearest"):
        return {key: value for key, value in keys.items() if key != "interpolation"}
    return keys
