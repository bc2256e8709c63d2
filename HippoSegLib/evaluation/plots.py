"""Pictures of an evaluation: Bland–Altman plots of the volumes and box plots of the metrics.

Colours are Okabe and Ito's (told apart with every common colour-vision deficiency), and each side has a
marker of its own besides.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np

from ..errors import DependencyError
from ..labels import COLORS, PARTS, SIDES
from .run import COUNTED, MISSING, Row

#: Side -> marker.
_MARKERS = {"left": "o", "right": "^"}
_BOXED = {
    "dice": "Dice",
    "hd95_mm": "HD95 (mm)",
    "assd_mm": "ASSD (mm)",
    "sensitivity": "sensitivity",
    "precision": "precision",
    "volume_similarity": "volume similarity",
}
_TITLES = {"": "whole hippocampus"} | {f"-{part}": f"{part} part" for part in PARTS}


def require_matplotlib() -> None:
    """Raise `DependencyError` where matplotlib is missing or does not load."""
    try:
        import matplotlib.figure  # noqa: F401
    except (ImportError, OSError) as error:
        raise DependencyError(
            "The Python package matplotlib (draws the pictures) is not installed or does not load.",
            'Install it with: pip install "matplotlib>=3.8", or leave the pictures out.',
            "no_matplotlib",
        ) from error


def bland_altman(rows: Sequence[Row]) -> bytes:
    """PNG: difference of the volumes over their mean, a panel for the whole and for each part."""
    panels = [(ending, found) for ending in _TITLES if (found := _counted(rows, ending))]
    figure = new_figure(5.2 * len(panels), 4.6)
    for axes, (ending, found) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        groups = []
        for side in SIDES:
            mine = [row for row in found if row.structure == side + ending]
            for missing in (False, True):
                points = [row.values for row in mine if (row.state == MISSING) == missing]
                if not points:
                    continue
                style = {
                    "s": 34,
                    "marker": "X" if missing else _MARKERS[side],
                    "color": COLORS[side],
                    "linewidth": 0.6,
                    "label": f"{side}, not found" if missing else f"{side} (n = {len(points)})",
                    "zorder": 3,
                }
                groups.append((points, style))
        draw_bland_altman(axes, groups, _TITLES[ending], "reference", linewidth=1.1)
        axes.margins(x=0.08, y=0.2)
        axes.legend(loc="best", fontsize=8, framealpha=0.9)
    return png(figure)


def draw_bland_altman(
    axes,
    groups: Sequence[tuple[Sequence[Mapping[str, float]], Mapping]],
    title: str,
    truth: str,
    linewidth: float = 1.0,
) -> None:
    """Draw one panel: difference of the volumes over their mean, with the limits of agreement.

    Bland and Altman, Lancet 1986: mean difference ± 1.96 standard deviations.

    Args:
        axes: matplotlib axes.
        groups: (rows with `volume_mm3` and `reference_mm3`, style of their points); the lines are of all
            groups together.
        truth: What the volumes are compared with, for the axes' words.
        linewidth: Of the three lines, points.
    """
    differences = []
    for rows, style in groups:
        found, reference = (np.array([row[k] for row in rows]) for k in ("volume_mm3", "reference_mm3"))
        axes.scatter((found + reference) / 2, found - reference, edgecolor="black", **style)
        differences.append(found - reference)
    _limits(axes, np.concatenate(differences), linewidth)
    axes.set(title=title, xlabel=f"mean of result and {truth} (mm³)", ylabel=f"result − {truth} (mm³)")
    axes.grid(alpha=0.25)


def _limits(axes, difference: np.ndarray, linewidth: float) -> None:
    """Lines at zero, at the mean difference and, from three values on, at its limits of agreement."""
    axes.axhline(0, color="0.6", linewidth=0.8)
    mean = difference.mean()
    lines = [(mean, "-", "mean")]
    if len(difference) > 2:
        spread = 1.96 * difference.std(ddof=1)
        lines += [(mean + spread, "--", "+1.96 sd"), (mean - spread, "--", "−1.96 sd")]
    for value, style, words in lines:
        axes.axhline(value, color="black", linestyle=style, linewidth=linewidth)
        # Outside the axes, where no point can lie under it.
        axes.annotate(
            f"{words}\n{value:+.0f}".replace("-", "−"),
            (1, value),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )


def boxplots(rows: Sequence[Row]) -> bytes:
    """PNG: for each metric a box and every case's point, per structure."""
    structures = list(dict.fromkeys(row.structure for row in rows if row.state in COUNTED))
    width = max(3.2, 1.2 + 0.62 * len(structures))
    figure = new_figure(3 * width, 7.2)
    rng = np.random.default_rng(0)  # the points' sideways scatter, the same each time
    for axes, (metric, words) in zip(figure.subplots(2, 3).flat, _BOXED.items(), strict=True):
        labels = []
        for place, structure in enumerate(structures, start=1):
            mine = [row.values[metric] for row in rows if row.structure == structure and row.state in COUNTED]
            values = np.array(mine, float)
            values = values[~np.isnan(values)]
            labels.append(structure.replace("-", "\n") + f"\nn = {len(values)}")
            side = structure.split("-")[0]
            axes.scatter(
                place + rng.uniform(-0.16, 0.16, len(values)),
                values,
                s=14,
                marker=_MARKERS[side],
                color=COLORS[side],
                edgecolor="black",
                linewidth=0.35,
                alpha=0.85,
                zorder=3,
            )
            if len(values):
                _box(axes, values, place, COLORS[side])
        axes.set_title(words, fontsize=10)
        axes.set_xticks(range(1, len(structures) + 1), labels, fontsize=8)
        axes.set_xlim(0.4, len(structures) + 0.6)
        axes.grid(axis="y", alpha=0.25)
        if metric.endswith("_mm"):
            axes.set_ylim(bottom=0)
    return png(figure)


def _box(axes, values: np.ndarray, place: int, color) -> None:
    axes.boxplot(
        values,
        positions=[place],
        widths=0.5,
        showfliers=False,  # every point is drawn anyway
        patch_artist=True,
        manage_ticks=False,
        boxprops={"facecolor": (*color, 0.3), "linewidth": 0.9},
        medianprops={"color": "black", "linewidth": 1.6},
        whiskerprops={"linewidth": 0.9},
        capprops={"linewidth": 0.9},
        zorder=2,
    )


def _counted(rows: Sequence[Row], ending: str) -> list[Row]:
    names = [side + ending for side in SIDES]
    return [row for row in rows if row.state in COUNTED and row.structure in names]


def new_figure(width: float, height: float):
    """An empty matplotlib figure, inches, that needs no display and touches no global state.

    Raises:
        DependencyError: There is no matplotlib.
    """
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def png(figure, dpi: int = 120) -> bytes:
    """A figure as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()
