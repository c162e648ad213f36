#!/usr/bin/env python
"""Writes docs/json/: a JSON Schema for each file that a stage leaves and each `--json` output.

python scripts/json_schemas.py            writes what is not as the models have it
python scripts/json_schemas.py --check    ends with 1 instead, and names those files
"""

import json
import sys
from pathlib import Path

from pipeline.cli import outputs, phone_outputs
from pipeline.report import inspection
from pipeline.workspace.results import bench, drift, quantize, record, train, verdict
from pipeline.workspace.results.base import Result

DOCS = Path(__file__).parents[1] / "docs" / "json"
MODELS: dict[str, type[Result]] = {
    "android-bench": phone_outputs.PhoneBench,
    "android-build": outputs.Apk,
    "android-install": outputs.Installed,
    "android-verify": phone_outputs.PhoneVerdict,
    "bench": bench.Bench,
    "bench-compare": bench.ComparedBench,
    "doctor": outputs.Doctor,
    "drift": drift.Drift,
    "inspect-bundle": inspection.InspectedBundle,
    "inspect-model": inspection.InspectedModel,
    "inspect-weights": inspection.InspectedWeights,
    "inspect-workspace": inspection.InspectedWorkspace,
    "program": outputs.Program,
    "quantize": quantize.Quantization,
    "quantize-explain": outputs.Explained,
    "record": record.Record,
    "report": outputs.Report,
    "run": outputs.Run,
    "runner-path": outputs.RunnerPath,
    "status": outputs.Status,
    "train": train.Training,
    "train-profile": train.Profile,
    "verdict": verdict.Verdict,
}


def schema(model: type[Result]) -> str:
    """Of what is written: a key with a default is always there."""
    found = model.model_json_schema(mode="serialization")
    return json.dumps(found, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def main() -> int:
    wanted = {DOCS / f"{name}.schema.json": schema(model) for name, model in MODELS.items()}
    there = set(DOCS.glob("*.json"))
    stale = [p for p, text in wanted.items() if p not in there or p.read_text("utf-8") != text]
    extra = sorted(there - wanted.keys())
    if "--check" in sys.argv[1:]:
        for path in (*stale, *extra):
            print(f"{path} is not what the models say: python scripts/json_schemas.py")
        return 1 if stale or extra else 0
    DOCS.mkdir(exist_ok=True)
    for path in stale:
        path.write_text(wanted[path], "utf-8")
    for path in extra:
        path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
