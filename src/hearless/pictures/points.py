"""Points of two measures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hearless.interfaces import HearlessError
from hearless.pictures.sheets import save, side_by_side

NEAR = 0.05
"""Of the points' spread: nearer than this both ways two labels would print on each other."""


@dataclass(frozen=True)
class Point:
    """A point of two measures, NaN where one is unknown, with the interval of the one upwards (NaN: none).

    A ``grey`` point steps back: it has no label.
    """

    across: float
    up: float
    label: str
    grey: bool = False
    low: float = math.nan
    high: float = math.nan

    @property
    def is_known(self) -> bool:
        """Say whether both measures are known."""
        return math.isfinite(self.across) and math.isfinite(self.up)


@dataclass(frozen=True)
class Cloud:
    """Points of two measures, named ``across`` and ``up`` in words; those not known of both are left out."""

    across: str
    up: str
    points: Sequence[Point]


def clouds(panels: Sequence[Cloud], path: Path, *, title: str = "") -> Path:
    """Draw points of measures, panels side by side that share the one upwards; grey points have no label.

    Raises:
        HearlessError: no panel.
    """
    if not panels:
        raise HearlessError("a picture needs a panel of points, got none.")
    figure, places = side_by_side(len(panels), 5.0)
    for place, cloud in zip(places, panels, strict=True):
        known = [point for point in cloud.points if point.is_known]
        for point in sorted(known, key=lambda point: not point.grey):
            color = "0.75" if point.grey else "tab:blue"
            place.plot(point.across, point.up, "o", color=color)
            if math.isfinite(point.low):
                place.vlines(point.across, point.low, point.high, color=color, linewidth=1)
        for x, y, labels in together([(point.across, point.up, point.label) for point in known if not point.grey]):
            place.annotate(
                "\n".join(labels), (x, y), (4, 4), textcoords="offset points", fontsize=7, parse_math=False
            )  # fmt: skip
        left_out = len(cloud.points) - len(known)
        place.set(xlabel=cloud.across, title=f"not known of {left_out} of {len(cloud.points)}" if left_out else "")
        place.margins(0.3, 0.15)
        if known and min(min(point.across, point.up) for point in known) >= 0:
            place.set(xlim=(max(0.0, place.get_xlim()[0]), None), ylim=(max(0.0, place.get_ylim()[0]), None))
    places[0].set_ylabel(panels[0].up)
    return save(figure, path, title)


def together(points: Sequence[tuple[float, float, str]]) -> list[tuple[float, float, list[str]]]:
    """Return points with their labels, those that lie too near each other for two labels as one."""
    spread = np.ptp([point[:2] for point in points], axis=0) if points else np.zeros(2)
    found: list[tuple[float, float, list[str]]] = []
    for x, y, label in points:
        near = (one for one in found if (np.abs(np.subtract(one[:2], (x, y))) <= NEAR * spread).all())
        if one := next(near, None):
            one[2].append(label)
        else:
            found.append((x, y, [label]))
    return found
