"""What the sections share."""

import os
import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

# `file.py:function`, `package.module:function`, `timm:NAME`, `torchvision:NAME`.
ENTRY = re.compile(r"^[^:]+:[^:]+$")
Dtype = Literal["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]
"""Element types that every runtime knows."""
Count = Annotated[int, Field(ge=0)]
Drop = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def threads_or_all(threads: int) -> int:
    """0 stands for every core that this process may use."""
    return threads or len(os.sched_getaffinity(0))


def check_entry(value: str | None) -> str | None:
    if value is not None and not ENTRY.match(value):
        raise ValueError(
            f"{value!r} is not of the form file.py:function or package.module:function"
        )
    return value
