"""SQNR by layer as a picture."""

from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt

from pipeline.workspace.results.drift import Drift

EXACT_DB = 160.0  # where exact answers are drawn: a rounding of fp32 is at some 140


def write_plot(drift: Drift, file: Path) -> None:
    """An SVG, the same bytes for the same figures. Layers from left to right."""
    layers = drift.layers
    places = range(len(layers))
    figure, axes = plt.subplots(figsize=(max(7.0, min(24.0, 0.22 * len(layers))), 4.2))
    for key, label, style in (
        ("sqnr_db", "as the artifact runs", "o-"),
        ("own_db", "of the layer alone", "x:"),
    ):
        values = [EXACT_DB if (db := getattr(layer, key)) is None else db for layer in layers]
        axes.plot(places, values, style, label=label, markersize=4)
    axes.axhline(drift.bar_db, color="tab:red", linewidth=1, label=f"{drift.bar_db:g} dB")
    if drift.first_bad is not None:
        axes.axvline(drift.first_bad, color="tab:red", alpha=0.25, linewidth=6)
    axes.set_ylabel("SQNR, dB (160: exact)")
    axes.set_title(f"{drift.artifact} against {drift.against}")
    step = max(1, len(layers) // 60)
    axes.set_xticks(
        list(places)[::step], [layer.name for layer in layers][::step], rotation=90, fontsize=7
    )
    axes.legend(fontsize=8)
    figure.tight_layout()
    with mpl.rc_context({"svg.hashsalt": "drift"}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    plt.close(figure)
