"""A measure along quantities that double, in large or many small panels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np

from hearless.interfaces import HearlessError
from hearless.pictures.sheets import grid, save, side_by_side
from hearless.statistics import Measure

MANY = 8
"""Points along an axis that each have a tick, at most."""

ACROSS = 5
"""Small panels side by side, at most."""

APART = 0.009
"""Lines with a point at the same place stand beside it, this share of the axis from each other."""


Points = Sequence[tuple[float, Measure]]


@dataclass(frozen=True)
class Curve:
    """A measure along one quantity.

    Attributes:
        along: the quantity, in words.
        lines: by name, points of the quantity (above 0) and the measure there; NaN leaves a point out.
    """

    along: str
    lines: Mapping[str, Points]


def curves(panels: Sequence[Curve], path: Path, *, title: str = "", measure: str = "", unit: str = "%") -> Path:
    """Draw a measure with its intervals along quantities that double, side by side on one axis.

    Lines that have a point at the same place stand beside each other there, so that none hides another.

    Args:
        panels: one a quantity, drawn on a logarithmic axis.
        path: of the picture.
        title: above all of them.
        measure: what is drawn, in words.
        unit: of it; "%" draws fractions as percent.

    Raises:
        HearlessError: no panel, one without a point, or a quantity that is not above 0.
    """
    drawn = {panel.along: _points_of(panel) for panel in panels}
    if not _each_measured(drawn):
        raise HearlessError(f"a picture of curves needs a measured point along each of {list(drawn)}; train some rows.")
    figure, places = side_by_side(len(panels), 5.0)
    scale = 100.0 if unit == "%" else 1.0
    for place, (along, lines) in zip(places, drawn.items(), strict=True):
        ticks = _places(lines)
        for name, points in _beside(lines, ticks).items():
            _line(place, name, points, scale)
        place.set_xscale("log", base=2)
        place.minorticks_off()
        place.set_xticks(ticks, [_short(x) for x in ticks]) if len(ticks) <= MANY else None
        place.set_xlabel(along)
        place.grid(color="0.9")
        place.legend(frameon=False)
    places[0].set_ylabel(f"{measure} ({unit}); bars: 95 % intervals" if unit else measure)
    return save(figure, path, title)


def multiples(panels: Mapping[str, Curve], path: Path, *, title: str = "", measure: str = "", unit: str = "%") -> Path:
    """Draw the same curves for many things, a small panel each, all on the same two axes.

    Args:
        panels: by name; lines of one name have one colour everywhere.
        path: of the picture.
        title: above all of them.
        measure: what is drawn, in words.
        unit: of it; "%" draws fractions as percent.

    Raises:
        HearlessError: no panel, one without a point, or a quantity that is not above 0.
    """
    drawn = {name: _points_of(panel) for name, panel in panels.items()}
    if not _each_measured(drawn):
        raise HearlessError("small multiples need a measured point in each panel; train some rows.")
    wide = min(ACROSS, len(drawn))
    figure, places = grid(-(-len(drawn) // wide), wide)
    colours = {name: f"C{i}" for i, name in enumerate(dict.fromkeys(n for lines in drawn.values() for n in lines))}
    scale = 100.0 if unit == "%" else 1.0
    ticks = sorted({x for lines in drawn.values() for x in _places(lines)})
    for place, (name, lines) in zip(places, drawn.items(), strict=False):
        for line, points in _beside(lines, ticks).items():
            _line(place, line, points, scale, colours[line])
        place.set_title(fill(name, 24), fontsize=10, parse_math=False)
        place.set_xscale("log", base=2)
        place.minorticks_off()
        place.set_xticks(ticks, [_short(x) for x in ticks], rotation=90) if len(ticks) <= MANY else None
        place.grid(color="0.9")
    for place in places[len(drawn) :]:
        place.set_axis_off()
    handles, names = places[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), frameon=False)
    for number in range(max(0, len(drawn) - wide), len(drawn)):
        places[number].tick_params(labelbottom=True)
    places[len(drawn) - 1].set_xlabel(next(iter(panels.values())).along)
    figure.supylabel(f"{measure} ({unit}); bars: 95 % intervals" if unit else measure, fontsize=10)
    return save(figure, path, title)


def _short(x: float) -> str:
    return f"{x:.3g}" if x < 1000 else f"{x:.0f}"


def _each_measured(drawn: Mapping[str, Mapping[str, Points]]) -> bool:
    """Say whether there is a panel, and in each a line with a point."""
    return bool(drawn) and all(any(lines.values()) for lines in drawn.values())


def _points_of(panel: Curve) -> dict[str, list[tuple[float, Measure]]]:
    """Return a panel's measured points from left to right."""
    if wrong := sorted(x for points in panel.lines.values() for x, _ in points if not x > 0):
        raise HearlessError(f"{panel.along} must be above 0 to be drawn along, got {wrong[0]}.")
    return {
        name: sorted(((x, one) for x, one in points if not np.isnan(one.value)), key=lambda point: point[0])
        for name, points in panel.lines.items()
    }


def _places(lines: Mapping[str, Points]) -> list[float]:
    """Return where there are points, from left to right."""
    return sorted({x for points in lines.values() for x, _ in points})


def _beside(lines: Mapping[str, Points], ticks: Sequence[float]) -> dict[str, Points]:
    """Return the same lines, where several have a point at one place a little beside it, so that none hides another."""
    step = max(2.0, ticks[-1] / ticks[0]) ** APART
    there = {x: [name for name, points in lines.items() if x in dict(points)] for x in ticks}

    def moved(name: str, x: float) -> float:
        return float(x * step ** (there[x].index(name) - (len(there[x]) - 1) / 2))

    return {name: [(moved(name, x), one) for x, one in points] for name, points in lines.items()}


def _line(
    place: Any, name: str, points: Points, scale: float, colour: str | None = None
) -> None:  # fmt: skip
    """Draw one line; a point whose interval is unknown has no bar."""
    x = [point for point, _ in points]
    value, low, high = (np.array([getattr(one, end) for _, one in points]) * scale for end in ("value", "low", "high"))
    bars = np.nan_to_num(np.maximum(0.0, [value - low, high - value]))
    place.errorbar(x, value, yerr=bars, marker="o", capsize=4, label=name, color=colour)
