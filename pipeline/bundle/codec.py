"""Manifests as bytes: canonical on the way out, strict on the way in.

`parse(serialize(m)) == m` for every manifest m. The last key, `digest`, is the SHA-256 of the
whole file with the digest's own 64 digits replaced by zeros: the manifest lists the hashes of all
other files, so the digest covers the bundle, and names it.
"""

import hashlib
import json
import re
from typing import Any, NoReturn

from pydantic import ValidationError

from pipeline.bundle.manifest import Manifest, implied_batch_axis
from pipeline.bundle.names import MANIFEST
from pipeline.bundle.refusal import Refusal, Refused
from pipeline.bundle.values import MAX_INTEGER

SCHEMAS = (1, 2)
MAX_BYTES = 1 << 20
MAX_NESTING = 16
MAX_DIGITS = 32  # of an integer, before it is made one
ZEROS = "0" * 64
DIGEST = re.compile(r"[0-9a-f]{64}")


def serialize(manifest: Manifest) -> bytes:
    """The one spelling of a manifest. May be longer than a reader takes: see MAX_BYTES."""
    schema = manifest.schema_version
    data = {"schema": schema, **manifest.model_dump(mode="json"), "digest": ZEROS}
    if schema == 1:
        for tensor in (*data["inputs"], *data["outputs"]):
            del tensor["batch_axis"]
    text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    head, _, tail = text.rpartition(ZEROS)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"{head}{digest}{tail}".encode()


def parse(content: bytes) -> Manifest:
    """Raises Refused for anything but a valid manifest of a schema that it knows, with the right
    digest."""
    return parse_sealed(content)[0]


def parse_sealed(content: bytes) -> tuple[Manifest, str]:
    """As `parse`, with the digest."""
    if len(content) > MAX_BYTES:
        raise Refused(Refusal.MANIFEST_TOO_LARGE, MANIFEST, len(content))
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        detail = f"byte {error.start}, {error.reason}"
        raise Refused(Refusal.NOT_UTF8, MANIFEST, detail) from None
    data = _load_json(text)
    schema, digest = _take_ends(data)
    if schema == 1:
        _add_batch_axes(data)
    try:
        manifest = Manifest.model_validate_json(json.dumps(data))
    except ValidationError as error:
        raise _explain(error) from None
    stated = digest.encode()
    blank = content.replace(stated, ZEROS.encode())
    if content.count(stated) != 1 or hashlib.sha256(blank).hexdigest() != digest:
        raise Refused(Refusal.WRONG_HASH, MANIFEST)
    return manifest, digest


def _load_json(text: str) -> Any:
    try:
        data = json.loads(
            text,
            object_pairs_hook=_distinct,
            parse_int=_integer,
            parse_float=_finite,
            parse_constant=_no_constant,
        )
        _check_nesting(data, 1)
    except RecursionError:
        raise Refused(Refusal.NESTED_TOO_DEEP, MANIFEST, MAX_NESTING) from None
    except json.JSONDecodeError as error:
        raise Refused(Refusal.NOT_JSON, MANIFEST, error) from None
    return data


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for key, value in pairs:
        if key in data:
            raise Refused(Refusal.DUPLICATE_KEY, MANIFEST, repr(key))
        data[key] = value
    return data


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS or abs(int(digits)) > MAX_INTEGER or digits == "-0":
        detail = f"{digits[:MAX_DIGITS]} is not an integer of at most 2^53 - 1"
        raise Refused(Refusal.BAD_VALUE, MANIFEST, detail)
    return int(digits)


def _finite(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise Refused(Refusal.BAD_VALUE, MANIFEST, f"{digits[:MAX_DIGITS]} is not finite")
    return value


def _no_constant(word: str) -> NoReturn:
    raise Refused(Refusal.NOT_JSON, MANIFEST, f"{word} is no JSON")


def _check_nesting(value: Any, level: int) -> None:
    if level > MAX_NESTING and isinstance(value, dict | list):
        raise Refused(Refusal.NESTED_TOO_DEEP, MANIFEST, MAX_NESTING)
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, dict):
        for key, inner in value.items():
            _check_text(key)
            _check_nesting(inner, level + 1)
    elif isinstance(value, list):
        for inner in value:
            _check_nesting(inner, level + 1)


def _check_text(text: str) -> None:
    r"""Half of a surrogate pair, which "\ud800" spells, is no text in any encoding."""
    if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
        raise Refused(Refusal.NOT_JSON, MANIFEST, f"{text[:40]!r} has half a surrogate pair")


def _take_ends(data: Any) -> tuple[int, str]:
    """Removes the schema, and the digest once the schema has shown that it can be looked for."""
    if not isinstance(data, dict):
        detail = f"a {type(data).__name__} instead of an object"
        raise Refused(Refusal.BAD_VALUE, MANIFEST, detail)
    for key in ("schema", "digest"):
        if key not in data:
            raise Refused(Refusal.MISSING_KEY, MANIFEST, repr(key))
        if key == "schema" and (type(data[key]) is not int or data[key] not in SCHEMAS):
            raise Refused(Refusal.UNSUPPORTED_SCHEMA, MANIFEST, json.dumps(data[key])[:40])
    schema, digest = data.pop("schema"), data.pop("digest")
    if not (isinstance(digest, str) and DIGEST.fullmatch(digest)):
        raise Refused(Refusal.BAD_VALUE, MANIFEST, "digest: not 64 hexadecimal digits")
    return schema, digest


def _add_batch_axes(data: dict[str, Any]) -> None:
    """What schema 1 implies. What is no tensor's description is left to the validation."""
    tensors = [
        tensor
        for key in ("inputs", "outputs")
        if isinstance(data.get(key), list)
        for tensor in data[key]
        if isinstance(tensor, dict)
    ]
    for tensor in tensors:
        if "batch_axis" in tensor:
            raise Refused(Refusal.UNKNOWN_KEY, MANIFEST, "'batch_axis'")
    shapes = [_list(tensor.get("shape")) for tensor in tensors]
    for tensor, shape in zip(tensors, shapes, strict=True):
        tensor["batch_axis"] = implied_batch_axis(shapes[0], shape)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _explain(error: ValidationError) -> Refused:
    """The first fault, with the code that says what kind it is."""
    detail = error.errors(include_url=False, include_input=False)[0]
    key = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        return Refused(Refusal.UNKNOWN_KEY, MANIFEST, repr(key))
    if detail["type"] == "missing":
        return Refused(Refusal.MISSING_KEY, MANIFEST, repr(key))
    if detail["type"] in set(Refusal):
        code, found = Refusal(detail["type"]), detail["ctx"]
        if code is Refusal.BAD_VALUE:
            return Refused(code, MANIFEST, f"{key}: {found['detail']}")
        return Refused(code, found["name"], found["detail"])
    message = detail["msg"][:1].lower() + detail["msg"][1:]
    return Refused(Refusal.BAD_VALUE, MANIFEST, f"{key}: {message}")
