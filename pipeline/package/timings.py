"""What `bench` measured, as far as package speaks of it. None of it goes into the bundle."""

from pipeline.package.card import figure, table
from pipeline.workspace.results.bench import Bench, BenchRow


def latency(bench: Bench) -> str:
    """What `bench` measured, for the card that lies beside the bundle."""
    machine = bench.machine
    header = (
        *("artifact", "runtime", "threads", "load ms", "first run ms", "p50 ms", "p90 ms"),
        *("p99 ms", "samples/s at batch", "peak memory", "before loading it"),
    )
    here = [_latency_row(row) for row in bench.rows if row.device is None]
    lines = [
        "",
        "## Latency on the machine that made it",
        "",
        f"{machine.cpu}, {machine.cores} cores, {machine.os}. Batch 1 unless said "
        "otherwise; nothing is clipped.",
        "",
        *table(header, here),
    ]
    for device in dict.fromkeys(row.device for row in bench.rows if row.device):
        there = [_latency_row(row) for row in bench.rows if row.device == device]
        lines += ["", f"## Latency on {device}", "", *table(header, there)]
    return "\n".join(lines)


def _latency_row(row: BenchRow) -> list[str]:
    head = [row.artifact, row.runtime, str(row.threads)]
    if row.error:
        return [*head, row.error, *[""] * 7]
    rates = sorted((int(size), rate) for size, rate in row.throughput.items())
    times = (row.load_ms, row.first_ms, row.p50_ms, row.p90_ms, row.p99_ms)
    return [
        *head,
        *(figure(ms, ".2f") for ms in times),
        ", ".join(f"{rate:.0f} at {size}" for size, rate in rates),
        *(_megabytes(size) for size in (row.peak_bytes, row.baseline_bytes)),
    ]


def _megabytes(value: int | None) -> str:
    return "–" if value is None else f"{value / 1e6:.0f} MB"
