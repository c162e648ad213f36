"""`[export]`."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from pipeline.config.base import Count, Section

Format = Literal["torchscript", "onnx"]


class ExportConfig(Section):
    model_config = ConfigDict(populate_by_name=True)

    for_: Annotated[Literal["any", "android-pytorch"], Field(alias="for")] = "any"
    """`android-pytorch`: refuse TorchScript that calls what PyTorch 1.13.1 for Android lacks."""
    formats: tuple[Format, ...] = ("torchscript", "onnx")
    """What is exported. Without it, a format that the model has no file of is left out."""
    capture: Literal["auto", "trace", "script"] = "auto"
    """TorchScript: `auto` tries trace, checks it on other shapes, else goes to script."""
    exporter: Literal["auto", "dynamo", "legacy"] = "auto"
    """ONNX: `dynamo` is torch.export; `auto` falls back to the older exporter and says so."""
    opset: Annotated[int, Field(ge=18, le=23)] = 18
    """ONNX: version of the operator set."""
    dynamic_batch: bool = True
    """Any batch size; otherwise the batch is always 1."""
    dynamic_size: bool = True
    """image: any height and width."""
    threads: Count = 1
    """CPU threads; 0 takes every core."""
