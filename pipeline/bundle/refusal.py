"""Why a bundle is refused: one enum of codes, one table of messages.

The codes are part of the format (docs/bundle-format.md): every reader, in whatever language, gives
the same one for the same broken bundle, and tests/bad-bundles/ holds them to it.
"""

from enum import StrEnum

from pipeline.errors import DamagedError


class Refusal(StrEnum):
    NOT_A_BUNDLE = "not-a-bundle"
    LINK = "link"
    HARD_LINK = "hard-link"
    NOT_A_FILE = "not-a-file"
    UNSAFE_NAME = "unsafe-name"
    CASE_COLLISION = "case-collision"
    TOO_DEEP = "too-deep"
    TOO_MANY_FILES = "too-many-files"
    EMPTY_FOLDER = "empty-folder"
    MANIFEST_TOO_LARGE = "manifest-too-large"
    NOT_UTF8 = "not-utf8"
    NOT_JSON = "not-json"
    NESTED_TOO_DEEP = "nested-too-deep"
    DUPLICATE_KEY = "duplicate-key"
    UNSUPPORTED_SCHEMA = "unsupported-schema"
    UNKNOWN_KEY = "unknown-key"
    MISSING_KEY = "missing-key"
    BAD_VALUE = "bad-value"
    TENSOR_TOO_LARGE = "tensor-too-large"
    LISTED_TWICE = "listed-twice"
    INCONSISTENT = "inconsistent"
    UNLISTED_FILE = "unlisted-file"
    MISSING_FILE = "missing-file"
    WRONG_SIZE = "wrong-size"
    WRONG_HASH = "wrong-hash"


# `{name}` is the file inside the bundle, `{detail}` what exactly was found there.
MESSAGES = {
    Refusal.NOT_A_BUNDLE: "{name} is no bundle: {detail}.",
    Refusal.LINK: "{name} is a symbolic link; a bundle holds plain files.",
    Refusal.HARD_LINK: "{name} has {detail} hard links; a file of a bundle has one.",
    Refusal.NOT_A_FILE: "{name} is {detail} where a plain file belongs.",
    Refusal.UNSAFE_NAME: "The name {name} is not portable: {detail}.",
    Refusal.CASE_COLLISION: "{name} and {detail} differ in upper and lower case alone.",
    Refusal.TOO_DEEP: "{name} lies more than {detail} levels deep.",
    Refusal.TOO_MANY_FILES: "{name} holds more than {detail} files.",
    Refusal.EMPTY_FOLDER: "{name} is a folder without a file.",
    Refusal.MANIFEST_TOO_LARGE: "{name} has {detail} bytes; at most 1 MiB is read.",
    Refusal.NOT_UTF8: "{name} is not UTF-8: {detail}.",
    Refusal.NOT_JSON: "{name} is not JSON: {detail}.",
    Refusal.NESTED_TOO_DEEP: "{name} is nested more than {detail} levels deep.",
    Refusal.DUPLICATE_KEY: "{name} has the key {detail} twice in one object.",
    Refusal.UNSUPPORTED_SCHEMA: "{name} says schema {detail}; this reader knows schemas 1 and 2.",
    Refusal.UNKNOWN_KEY: "{name} has the unknown key {detail}.",
    Refusal.MISSING_KEY: "{name} lacks the key {detail}.",
    Refusal.BAD_VALUE: "{name}: {detail}.",
    Refusal.TENSOR_TOO_LARGE: "{name}: {detail}.",
    Refusal.LISTED_TWICE: "{name} is listed twice in the manifest.",
    Refusal.INCONSISTENT: "{name} contradicts itself: {detail}.",
    Refusal.UNLISTED_FILE: "{name} is not listed in the manifest.",
    Refusal.MISSING_FILE: "{name} is listed in the manifest but is not there.",
    Refusal.WRONG_SIZE: "{name} has another size than the manifest says: {detail}.",
    Refusal.WRONG_HASH: "{name} is damaged: its SHA-256 is not the one in the manifest.",
}

HINT = "Fetch or make the bundle again; nothing in it may be edited."


class Refused(DamagedError):
    """A bundle that must not be used. `code` says why, `name` is the file inside it."""

    def __init__(self, code: Refusal, name: str, detail: object = "") -> None:
        super().__init__(MESSAGES[code].format(name=name, detail=detail), HINT)
        self.code = code
        self.name = name
        self.detail = str(detail)
