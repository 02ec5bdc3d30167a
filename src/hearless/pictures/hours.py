"""Sources by the hour of a day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearless.interfaces import HearlessError
from hearless.pictures.sheets import save, sheet


@dataclass(frozen=True)
class Hours:
    """What was heard at which hour of the day.

    Attributes:
        labels: the sources, those heard most first.
        scores: mean scores ``[label, hour]``, NaN where nothing was measured.
        heard_s: seconds of levels in each hour ``[hour]``.
        days: the days these are from.
        among: ``[label, hour]``, whether it was among the best of any row; where not, its score is not known.
        clock: what its hours are.
    """

    labels: tuple[str, ...]
    scores: NDArray[Any]
    heard_s: NDArray[Any]
    days: tuple[date, ...]
    among: NDArray[Any] | None = None
    clock: str = "hour of the log's clock"


def day(hours: Hours, path: Path, *, top: int = 12, title: str = "") -> Path:
    """Draw sources by the hour of a day as a heat map; hours without levels are grey, unknown scores dots.

    Colours go with the square root of the score, so that a rare siren shows beside steady traffic.

    Args:
        hours: what was heard when.
        path: of the picture.
        top: how many sources, those heard most.
        title: above it; default: the day, or how many days are averaged.

    Raises:
        HearlessError: no source, or scores that are not ``[label, 24]``.
    """
    if not hours.labels or hours.scores.shape != (len(hours.labels), 24) or top < 1:
        raise HearlessError(
            f"a picture of a day needs sources, 24 hours and top of at least 1, got {len(hours.labels)} sources, "
            f"scores of shape {hours.scores.shape} and {top}."
        )
    from matplotlib.colors import PowerNorm

    shown = hours.scores[:top]
    figure, place = sheet(len(shown))
    place.set_facecolor("0.85")
    loudest = float(np.nanmax(shown)) if np.isfinite(shown).any() else 0.0
    image = place.imshow(shown, aspect="auto", cmap="magma_r", norm=PowerNorm(0.5, 0.0, loudest or 1.0))
    place.set_yticks(range(len(shown)), [fill(label, 28) for label in hours.labels[:top]], parse_math=False)
    place.set_xticks(np.arange(0, 25, 3) - 0.5, [f"{hour}:00" for hour in range(0, 25, 3)])
    place.set_xticks(np.arange(24) - 0.5, minor=True)
    place.set_yticks(np.arange(len(shown)) - 0.5, minor=True)
    place.grid(which="minor", color="white", linewidth=0.5)
    place.tick_params(which="minor", length=0)
    said = [hours.clock, *(["grey: no levels"] if (hours.heard_s == 0).any() else [])]
    if hours.among is not None and (unknown := ~hours.among[:top] & (hours.heard_s > 0)).any():
        for row, hour in zip(*np.nonzero(unknown), strict=True):
            place.text(hour, row, "·", ha="center", va="center", color="0.6")
        said.append("dot: not among the best of any row")
    place.set_xlabel("; ".join(said))
    figure.colorbar(image, ax=place, label="mean score", pad=0.01)
    first, last = hours.days[0], hours.days[-1]
    days = f"{first}" if first == last else f"the mean of {len(hours.days)} days, {first} to {last}"
    return save(figure, path, title or f"Sources by hour, {days}")
