"""The kinds of values in a manifest. None converts what it is given: it fits or is refused."""

import math
import re
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from pipeline.bundle.names import MANIFEST, check_name
from pipeline.bundle.refusal import Refusal, Refused

MAX_INTEGER = 2**53 - 1  # the largest that every JSON reader keeps exactly
MAX_RANK = 8

Verdict = Literal["pass", "fail", "inconclusive"]
ITEM_BYTES: dict[str, int] = {
    "bool": 1,
    "uint8": 1,
    "int8": 1,
    "int16": 2,
    "float16": 2,
    "int32": 4,
    "float32": 4,
    "int64": 8,
    "float64": 8,
}

CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")  # all of ASCII's but the line feed


def refuse(code: Refusal, detail: str, name: str = MANIFEST) -> PydanticCustomError:
    """What a validator raises; codec.py makes it a Refused again."""
    return PydanticCustomError(code.value, "{detail}", {"detail": detail, "name": name})


def _no_control(value: str) -> str:
    if CONTROL.search(value):
        raise refuse(Refusal.BAD_VALUE, "control characters are not allowed")
    return value


def _one_line(value: str) -> str:
    if "\n" in value:
        raise refuse(Refusal.BAD_VALUE, "line feeds are not allowed")
    return _no_control(value)


def _file_name(value: str) -> str:
    try:
        return check_name(value)
    except Refused as refused:
        raise refuse(refused.code, refused.detail, refused.name) from None


Text = Annotated[str, AfterValidator(_no_control)]
Line = Annotated[str, AfterValidator(_one_line)]
Name = Annotated[str, Field(min_length=1), AfterValidator(_one_line)]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
FileName = Annotated[str, AfterValidator(_file_name)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, le=MAX_INTEGER)]
Size = Annotated[int, Field(ge=0, le=2**31 - 1)]
Axis = Annotated[int, Field(ge=1, le=2**31 - 1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


def tensor_bytes(dtype: str, shape: Sequence[int]) -> int:
    """Bytes of a tensor; refused above 2^53 - 1, so that no reader's arithmetic overflows."""
    # Empty axes count as one here: a reader multiplies step by step, and must never overflow.
    if ITEM_BYTES[dtype] * math.prod(axis or 1 for axis in shape) > MAX_INTEGER:
        raise refuse(Refusal.TENSOR_TOO_LARGE, f"{dtype}{list(shape)} has 2^53 bytes or more")
    return ITEM_BYTES[dtype] * math.prod(shape)
