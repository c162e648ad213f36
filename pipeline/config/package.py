"""`[package]`."""

from typing import Annotated

from pydantic import Field, PositiveInt

from pipeline.config.base import Section


class PackageConfig(Section):
    golden: PositiveInt = 8
    """Samples in the bundle, with the reference's answers."""
    description: str = ""
    """A sentence for the model card."""
    license: str = ""
    """Of the model, for the model card: `Apache-2.0`."""
    first: Annotated[str, Field(min_length=1)] | None = None
    """Id of the artifact that a program takes by default: `onnx-fp32`. Default: the fastest that
    passed, as measured here. Named, so that the others follow by a fixed rule, no measurement of
    `bench` decides about the bundle's bytes."""
    allow_failed: bool = False
    """Package despite a failed verdict; the manifest says so."""
