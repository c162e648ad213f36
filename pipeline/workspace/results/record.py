"""`record.json`: what a stage ran on and made."""

from typing import Any

from pipeline.workspace.results.base import Result

RECORD = "record.json"

# What a stage's result depends on: JSON, such as {"config": {...}, "inputs": {...}}.
Ingredients = dict[str, Any]


class Record(Result):
    """`key` is the SHA-256 of `ingredients`; `files` maps relative paths to SHA-256; `summary` is
    what the stage says of itself; `seconds` what it took."""

    stage: str
    key: str
    ingredients: Ingredients
    files: dict[str, str]
    summary: dict[str, Any]
    seconds: float
