"""The report's plots, as SVG text that stands inside the page.

Each is 4.6 inches wide, so that its letters are of the page's size on a phone; the page puts
several side by side where there is room. Text and axes take the page's colour, light or dark.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from pipeline.workspace.results.drift import Drift
from pipeline.workspace.results.quantize import Point
from pipeline.workspace.results.verdict import VerdictRow

Row = Mapping[str, Any]
Array = NDArray[Any]

INK = "#808890"  # becomes the page's own colour
SERIES = ("#3b7dd8", "#e08a2c", "#3c9d6b", "#b05cc0", "#c94f4f", "#8a7a52", "#4aa5b5", "#d16ba5")
VERDICTS = {"pass": SERIES[2], "inconclusive": SERIES[1], "fail": SERIES[4]}
WIDTH, ROW = 4.6, 0.3  # inches
GRID = 400  # points of a distribution's curve
LEAST_SPAN = 0.002  # of the scores on an axis
MARKED = 12  # classes up to which a matrix has its numbers written in


def training(history: Sequence[Row], title: str, keys: Sequence[str]) -> str | None:
    """Curves of some keys by epoch; None where none of them was kept."""
    known = [key for key in keys if any(line.get(key) is not None for line in history)]
    if not known:
        return None

    def draw(axes: Axes) -> None:
        for key, colour in zip(known, SERIES, strict=False):
            points = [(line["epoch"], line[key]) for line in history if line.get(key) is not None]
            x, y = zip(*points, strict=True)
            axes.plot(x, y, color=colour, label=key.replace("_", " "), marker="o", ms=3)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("epoch")
        _legend(axes)

    return _svg(title, draw)


def latencies(names: Sequence[str], values: Sequence[Array]) -> str:
    """The distribution of every row's runs, from the shortest to the longest; marks at p50 and p90.

    Nothing is cut off: where a tail is long, the axis is.
    """
    rows = [(name, ms) for name, ms in zip(names, values, strict=True) if len(ms) > 1]

    def draw(axes: Axes) -> None:
        for at, (_, ms) in enumerate(rows):
            logs = np.log10(ms)
            density, edges = np.histogram(
                logs, bins=np.linspace(logs.min(), logs.max() + 1e-9, 161)
            )
            smooth = np.convolve(density, np.hanning(7) / np.hanning(7).sum(), mode="same")
            height = 0.42 * smooth / max(smooth.max(), 1e-12)
            centres = 10 ** ((edges[1:] + edges[:-1]) / 2)
            colour = SERIES[at % len(SERIES)]
            axes.fill_between(centres, at - height, at + height, color=colour, alpha=0.75, lw=0)
            axes.plot([ms.min(), ms.max()], [at, at], color=colour, lw=1)
            p50, p90 = np.percentile(ms, (50, 90))
            axes.plot([p50], [at], marker="|", ms=11, mew=2, color=INK)
            axes.plot([p90], [at], marker="D", ms=4, color=INK)
        _name_rows(axes, [name for name, _ in rows])
        _log_ms(axes)
        axes.set_xlabel("milliseconds of a run;  | median   ◆ p90")

    return _svg("Latency: how the runs are distributed", draw, 0.9 + ROW * len(rows))


def rounds(names: Sequence[str], medians: Sequence[Sequence[float]]) -> str:
    """Each row's medians round by round, against its own median: what the machine did meanwhile."""

    def draw(axes: Axes) -> None:
        for at, values in enumerate(medians):
            x = np.arange(1, len(values) + 1)
            y = np.array(values) / np.median(values)
            axes.plot(x, y, color=SERIES[at % len(SERIES)], lw=1.2, marker=".", label=names[at])
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("round")
        axes.set_ylabel("against the row's own median")

    return _svg("Medians by round", draw)


def tradeoff(points: Sequence[Point], on_front: set[str], metric: str) -> str:
    """Latency against score; the area is the file's size. The line joins the Pareto front, a ring
    is round what was chosen, what is hollow did not pass."""

    def draw(axes: Axes) -> None:
        largest = max(point.bytes for point in points)
        for at, point in enumerate(sorted(points, key=lambda point: -point.bytes)):
            colour = SERIES[at % len(SERIES)]
            place = point.latency_ms, point.score or 0.0
            axes.scatter(
                *place,
                s=40 + 500 * point.bytes / largest,
                facecolor=colour if point.passed else "none",
                edgecolor=colour,
                alpha=0.75,
                label=f"{point.name}, {_size(point.bytes)}",
            )
            if point.chosen:
                axes.scatter(*place, s=130 + 500 * point.bytes / largest, facecolor="none",
                             edgecolor=INK, linewidth=2)  # fmt: skip
        line = sorted((p for p in points if p.name in on_front), key=lambda p: p.latency_ms)
        xs, ys = [p.latency_ms for p in line], [p.score or 0.0 for p in line]
        if any(point.chosen for point in points):
            axes.scatter([], [], facecolor="none", edgecolor=INK, linewidth=2, label="chosen")
        axes.plot(xs, ys, color=INK, ls=":", label="Pareto front")
        axes.margins(0.2)
        scores = [point.score or 0.0 for point in points]
        if max(scores) - min(scores) < LEAST_SPAN:  # or the axis would stretch what is nothing
            axes.set_ylim(min(scores) - LEAST_SPAN, max(scores) + LEAST_SPAN)
        _log_ms(axes)
        axes.set_xlabel("p50 in milliseconds, fastest runtime")
        axes.set_ylabel(metric)
        _legend(axes, below=True, marker=6)

    return _svg("Accuracy, latency and size", draw, 3.8 + 0.19 * len(points))


def closeness(rows: Sequence[VerdictRow]) -> str | None:
    """Signal to quantization noise of every row that is not exact; more is closer to eager."""
    known = [(row, row.sqnr_db) for row in rows if row.sqnr_db is not None]
    if not known:
        return None

    def draw(axes: Axes) -> None:
        colours = [VERDICTS[row.verdict] for row, _ in known]
        axes.barh(range(len(known)), [db for _, db in known], color=colours, height=0.6)
        _name_rows(axes, [f"{row.artifact} · {row.where}" for row, _ in known])
        axes.set_xlabel("SQNR in dB")

    return _svg("Closeness to eager PyTorch", draw, 0.9 + 0.24 * len(known))


def histograms(names: Sequence[str], counts: Array, edges: Array) -> str | None:
    """Shares of output elements by their error: `counts` [rows, bins], `edges` [bins + 1]."""
    shown = [at for at in range(len(names)) if counts[at].sum()]
    if not shown:
        return None
    artifacts = list(dict.fromkeys(name.partition(" · ")[0] for name in names))

    def draw(axes: Axes) -> None:
        for at in shown:
            artifact, _, runtime = names[at].partition(" · ")
            axes.stairs(
                100 * counts[at] / counts[at].sum(),
                edges,
                color=SERIES[artifacts.index(artifact) % len(SERIES)],
                ls="--" if runtime.startswith(("cpp-", "arm64-")) else "-",
                label=names[at],
            )
        filled = np.flatnonzero(counts[shown].sum(axis=0))
        axes.set_xscale("log")
        axes.set_xlim(edges[filled[0]], edges[filled[-1] + 1])
        axes.set_xlabel("error / largest answer")
        axes.set_ylabel("% of the numbers answered")
        _legend(axes, below=True)

    return _svg("Errors: how they are distributed", draw, 3.0 + 0.19 * len(shown))


def confusion(matrix: Array, labels: Sequence[str], title: str) -> str:
    """Rows are what is true, columns what was answered, shades the share of a row."""

    def draw(axes: Axes) -> None:
        share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        axes.pcolormesh(share, cmap=_shades(), vmin=0, vmax=1, edgecolors=INK, linewidth=0.2)
        axes.invert_yaxis()
        axes.set_aspect("equal")
        if len(labels) <= MARKED:
            for (row, column), count in np.ndenumerate(matrix):
                if count:
                    bright = "white" if share[row, column] > 0.5 else INK
                    axes.text(column + 0.5, row + 0.5, str(count), ha="center", va="center",
                              color=bright, fontsize=8)  # fmt: skip
            ticks = np.arange(len(labels)) + 0.5
            axes.set_xticks(ticks, labels, rotation=90 if max(map(len, labels)) > 2 else 0)
            axes.set_yticks(ticks, labels)
        axes.set_xlabel("answered")
        axes.set_ylabel("true")

    return _svg(title, draw, 4.4)


def drift(drifts: Mapping[str, Drift]) -> str:
    """SQNR layer by layer of every artifact; a cross at the first bad layer."""

    def draw(axes: Axes) -> None:
        for colour, (name, one) in zip(SERIES, drifts.items(), strict=False):
            values = [layer.sqnr_db for layer in one.layers]
            x = np.arange(len(values))
            y = np.array([np.nan if value is None else value for value in values], float)
            axes.plot(x, y, color=colour, marker=".", lw=1.2, label=name)
            bad = one.first_bad
            if bad is not None and values[bad] is not None:
                axes.plot([bad], [y[bad]], marker="X", ms=9, color=VERDICTS["fail"])
        axes.set_xlabel("layer, in the order in which they are computed")
        axes.set_ylabel("SQNR in dB")
        _legend(axes, below=True)

    return _svg("Drift: SQNR by layer", draw, 3.2 + 0.19 * len(drifts))


def layer_sizes(sizes: Mapping[str, Mapping[str, int]]) -> str:
    """Bars of bytes by layer, one colour an artifact."""
    layers = list(next(iter(sizes.values())))
    thick = 0.8 / len(sizes)

    def draw(axes: Axes) -> None:
        for at, (name, counts) in enumerate(sizes.items()):
            places = np.arange(len(layers)) + thick * (at - (len(sizes) - 1) / 2)
            kilobytes = [counts[layer] / 1e3 for layer in layers]
            axes.barh(places, kilobytes, height=thick, color=SERIES[at % len(SERIES)], label=name)
        _name_rows(axes, layers)
        axes.set_xlabel("kB")
        _legend(axes, below=True)

    return _svg("Sizes by layer", draw, 1.2 + 0.19 * len(sizes) + 0.32 * len(layers))


def costs(stages: Sequence[tuple[str, float]]) -> str:
    def draw(axes: Axes) -> None:
        axes.barh(range(len(stages)), [seconds for _, seconds in stages], color=SERIES[0])
        _name_rows(axes, [stage for stage, _ in stages])
        axes.set_xlabel("seconds")

    return _svg("What each stage cost", draw, 0.9 + 0.24 * len(stages))


def _name_rows(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)


def _log_ms(axes: Axes) -> None:
    """A logarithmic axis whose ticks are plain numbers."""
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    few = high / low > 20
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if few else (1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _legend(axes: Axes, below: bool = False, marker: float | None = None) -> None:
    place: dict[str, Any] = {}
    if below:
        place = {"loc": "upper left", "bbox_to_anchor": (0.0, -0.18), "borderaxespad": 0.0}
    legend = axes.legend(frameon=False, labelcolor=INK, fontsize=8, **place)
    for handle in legend.legend_handles:
        if marker and handle is not None and hasattr(handle, "set_sizes"):
            handle.set_sizes([marker * marker])


def _shades() -> Any:
    """From nothing to blue: readable on white and on black."""
    return mpl.colors.LinearSegmentedColormap.from_list("blue", ["#3b7dd800", "#3b7dd8ff"])


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def _svg(title: str, draw: Callable[[Axes], None], height: float = 3.0) -> str:
    """One pair of axes in the report's style, drawn by `draw`."""
    style: Any = {
        "svg.fonttype": "none",  # text stays text: readable aloud, and selectable
        "svg.hashsalt": title,  # the same data, the same bytes
        "path.simplify_threshold": 0.5,
        "font.family": "sans-serif",
        "font.size": 9,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    raw = io.StringIO()
    with mpl.rc_context(style):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        draw(figure.add_subplot())
        figure.savefig(raw, format="svg", transparent=True, metadata={"Date": None, "Title": title})
    svg = raw.getvalue().replace(INK, "currentColor")
    return svg[svg.index("<svg") :].replace("<svg ", f'<svg role="img" aria-label="{title}" ', 1)
