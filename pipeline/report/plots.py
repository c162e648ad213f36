"""The report's plots, as SVG text that stands inside the page."""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

Row = Mapping[str, Any]

GREY = "#808890"  # readable on white and on black
SERIES = ("#3b7dd8", "#e08a2c", "#3c9d6b", "#b05cc0", "#c94f4f", "#8a7a52", "#4aa5b5", "#d16ba5")


def training(history: Sequence[Row]) -> str:
    """Loss and metric by epoch."""

    def draw(losses: Axes, metrics: Axes) -> None:
        epochs = [line["epoch"] for line in history]
        curves = (("train_loss", losses), ("validation_loss", losses), ("metric", metrics))
        for (name, axes), colour in zip(curves, SERIES, strict=False):
            values = [line[name] for line in history if line.get(name) is not None]
            if len(values) == len(epochs):
                label = name.replace("_", " ")
                axes.plot(epochs, values, color=colour, label=label, marker="o", ms=3)
                axes.set_xlabel("epoch")
                axes.legend(frameon=False, labelcolor=GREY)

    return _svg("Training: loss and metric by epoch", draw, 2)


def latencies(rows: Sequence[Row]) -> str:
    """Every measured run, as one cumulative curve for each artifact and runtime.

    An artifact has one colour; its curve in the C++ runner is dashed.
    """
    measured = [row for row in rows if row["latencies_ms"]]
    artifacts = list(dict.fromkeys(row["artifact"] for row in measured))

    def draw(axes: Axes) -> None:
        for row in measured:
            axes.ecdf(
                row["latencies_ms"],
                color=SERIES[artifacts.index(row["artifact"]) % len(SERIES)],
                linestyle="--" if row["runtime"].startswith("cpp-") else "-",
                label=f"{row['artifact']} · {row['runtime']}",
            )
        axes.set_xscale("log")
        axes.set_xlabel("milliseconds at batch 1")
        axes.set_ylabel("share of runs")
        axes.legend(frameon=False, labelcolor=GREY, fontsize=8, loc="lower right")

    title = "Latency: share of runs within so many milliseconds"
    return _svg(title, draw, height=_height(len(measured)))


def errors(rows: Sequence[Row]) -> str:
    """Signal to quantization noise of every row; more is closer to the reference."""

    known = [row for row in rows if row["sqnr_db"] is not None]

    def draw(axes: Axes) -> None:
        names = [f"{row['artifact']} · {row['runtime']}" for row in known]
        colours = [SERIES[2] if row["verdict"] == "pass" else SERIES[4] for row in known]
        axes.barh(names, [row["sqnr_db"] for row in known], color=colours, height=0.6)
        axes.invert_yaxis()
        axes.set_xlabel("SQNR in dB")

    return _svg("Closeness to eager PyTorch: SQNR in dB", draw, height=_height(len(known)))


def _height(rows: int) -> float:
    """Inches that so many lines of text need."""
    return max(3.2, 0.8 + 0.25 * rows)


def _svg(title: str, draw: Callable[..., None], columns: int = 1, height: float = 3.2) -> str:
    """One row of axes in the report's style, drawn by `draw`."""
    style: Any = {
        "svg.fonttype": "none",  # text stays text: readable aloud, and selectable
        "svg.hashsalt": title,  # the same data, the same bytes
        "font.family": "sans-serif",
        "text.color": GREY,
        "axes.labelcolor": GREY,
        "axes.edgecolor": GREY,
        "xtick.color": GREY,
        "ytick.color": GREY,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    raw = io.StringIO()
    with mpl.rc_context(style):
        figure = Figure(figsize=(8.0, height), layout="constrained")
        draw(*(figure.add_subplot(1, columns, index + 1) for index in range(columns)))
        figure.savefig(raw, format="svg", transparent=True, metadata={"Date": None, "Title": title})
    svg = raw.getvalue()
    return svg[svg.index("<svg") :].replace("<svg ", f'<svg role="img" aria-label="{title}" ', 1)
