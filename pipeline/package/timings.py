"""What `bench` measured, as far as package speaks of it. None of it goes into the bundle."""

from collections.abc import Mapping
from typing import Any

from pipeline.package.card import figure, table


def latency(bench: Mapping[str, Any]) -> str:
    """What `bench` measured, for the card that lies beside the bundle."""
    machine = bench["machine"]
    header = (
        *("artifact", "runtime", "threads", "load ms", "first run ms", "p50 ms", "p90 ms"),
        *("p99 ms", "samples/s at batch", "peak memory", "before loading it"),
    )
    here = [_latency_row(row) for row in bench["rows"] if "device" not in row]
    lines = [
        "",
        "## Latency on the machine that made it",
        "",
        f"{machine['cpu']}, {machine['cores']} cores, {machine['os']}. Batch 1 unless said "
        "otherwise; nothing is clipped.",
        "",
        *table(header, here),
    ]
    for device in dict.fromkeys(row["device"] for row in bench["rows"] if "device" in row):
        there = [_latency_row(row) for row in bench["rows"] if row.get("device") == device]
        lines += ["", f"## Latency on {device}", "", *table(header, there)]
    return "\n".join(lines)


def _latency_row(row: Mapping[str, Any]) -> list[str]:
    head = [row["artifact"], row["runtime"], str(row["threads"])]
    if row["error"]:
        return [*head, row["error"], *[""] * 7]
    rates = sorted((int(size), rate) for size, rate in row["throughput"].items())
    throughput = (f"{rate:.0f} at {size}" for size, rate in rates)
    times = ("load_ms", "first_ms", "p50_ms", "p90_ms", "p99_ms")
    return [
        *head,
        *(figure(row[name], ".2f") for name in times),
        ", ".join(throughput),
        *(_megabytes(row[name]) for name in ("peak_bytes", "baseline_bytes")),
    ]


def _megabytes(value: int | None) -> str:
    return "–" if value is None else f"{value / 1e6:.0f} MB"
