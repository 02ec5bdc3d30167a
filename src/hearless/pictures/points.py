"""Points of two measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hearless.interfaces import HearlessError
from hearless.pictures.sheets import save, side_by_side


@dataclass(frozen=True)
class Cloud:
    """Points of two measures.

    Attributes:
        across, up: the measures, in words.
        points: across, up, label and whether it steps back into grey; NaN leaves a point out.
    """

    across: str
    up: str
    points: Sequence[tuple[float, float, str, bool]]


def clouds(panels: Sequence[Cloud], path: Path, *, title: str = "") -> Path:
    """Draw points of measures, panels side by side that share the one upwards; grey points have no label.

    Raises:
        HearlessError: no panel.
    """
    if not panels:
        raise HearlessError("a picture needs a panel of points, got none.")
    figure, places = side_by_side(len(panels), 5.0)
    for place, cloud in zip(places, panels, strict=True):
        known = [point for point in cloud.points if np.isfinite(point[:2]).all()]
        for x, y, label, grey in sorted(known, key=lambda point: not point[3]):
            place.plot(x, y, "o", color="0.75" if grey else "tab:blue")
            if not grey:
                place.annotate(label, (x, y), (4, 4), textcoords="offset points", fontsize=7, parse_math=False)
        left_out = len(cloud.points) - len(known)
        place.set(xlabel=cloud.across, ylabel=cloud.up, title=f"{left_out} unknown" if left_out else "")
        place.margins(0.3, 0.15)
    return save(figure, path, title)
