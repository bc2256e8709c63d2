"""Percentiles over age with this person among them, as coordinates of a drawing (SVG)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..labels import SIDES
from ..reference import Judgement, Reference
from ..reference.judging import curve

#: Size of a drawing, and of its margins left, right, top and bottom, in its own units.
WIDTH, HEIGHT = 340.0, 132.0
LEFT, RIGHT, TOP, BOTTOM = 28.0, 26.0, 14.0, 22.0
#: Percentiles that are drawn; the middle one in a full line.
PERCENTS = (5.0, 25.0, 50.0, 75.0, 95.0)


@dataclass(frozen=True)
class Line:
    """A percentile: its points as SVG has them, its name at the end, and how it is dashed."""

    points: str
    name: str
    end: tuple[float, float]
    dash: str


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: where, and its text."""

    place: float
    text: str


@dataclass(frozen=True)
class Plot:
    """One drawing.

    Attributes:
        title: Of it.
        lines: The percentiles.
        across, up: Marks of age in years and of volume in mL.
        dot: Where this person is.
        text: The same in words, for who cannot see it.
    """

    title: str
    lines: tuple[Line, ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    dot: tuple[float, float]
    text: str


def plots(reference: Reference, judgement: Judgement, intracranial_mm3: float | None) -> tuple[Plot, ...]:
    """A drawing per side that is compared; empty where none is."""
    found = []
    for side in SIDES:
        if side in judgement.measures and intracranial_mm3 is not None:
            found.append(_plot(reference, judgement, side, intracranial_mm3))
    return tuple(found)


def _plot(reference: Reference, judgement: Judgement, side: str, intracranial_mm3: float) -> Plot:
    lines = curve(reference, side, judgement.person, intracranial_mm3, PERCENTS)
    value, age = judgement.measures[side].value, judgement.person.age or 0.0
    volumes = [volume for points in lines.values() for _, volume in points] + [value]
    # A little air above and below, so that a dot at the edge is whole.
    air = 0.06 * (max(volumes) - min(volumes)) or 1.0
    x = _Axis(reference.age.low, reference.age.high, LEFT, WIDTH - RIGHT)
    y = _Axis(min(volumes) - air, max(volumes) + air, HEIGHT - BOTTOM, TOP)
    return Plot(
        title=f"{side.capitalize()} hippocampus",
        lines=tuple(_line(percent, points, x, y) for percent, points in lines.items()),
        across=tuple(Tick(x(v), f"{v:g}") for v in _round_values(reference.age.low, reference.age.high)),
        up=tuple(Tick(y(v), f"{v / 1000:.1f}") for v in _round_values(y.low, y.high)),
        dot=(x(age), y(value)),
        text=f"{side.capitalize()}: {value:.0f} mm³ at the age of {age:g} years.",
    )


@dataclass(frozen=True)
class _Axis:
    """From values to places."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        span = self.high - self.low or 1.0
        return round(self.start + (value - self.low) / span * (self.end - self.start), 1)


def _line(percent: float, points: Sequence[tuple[float, float]], x: _Axis, y: _Axis) -> Line:
    places = [(x(age), y(volume)) for age, volume in points]
    dash = {50.0: "", 25.0: "1.5 2", 75.0: "1.5 2"}.get(percent, "5 2.5")
    return Line(" ".join(f"{a},{b}" for a, b in places), f"{percent:g}", places[-1], dash)


def _round_values(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from `low` to `high`, at most so many."""
    span = high - low
    if span <= 0:
        return [low]
    power = 10 ** math.floor(math.log10(span / most))
    step = next(power * k for k in (1, 2, 5, 10, 20) if span / (power * k) <= most)
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]
