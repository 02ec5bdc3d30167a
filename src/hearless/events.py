"""From windows with scores to events: from when to when each class is there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearless.interfaces import HearlessError

ROUNDING_S = 1e-6
"""Windows that are parted by less touch each other."""


@dataclass(frozen=True, slots=True)
class Event:
    """A stretch of sound in which a class is there; ``score`` is the greatest of its windows."""

    start_s: float
    end_s: float
    label: str
    score: float


def check(join_s: float, shortest_s: float) -> None:
    """Refuse what joins or leaves out nothing sensible.

    Raises:
        HearlessError: one of them is below 0 or not finite.
    """
    for name, value in (("join", join_s), ("shortest", shortest_s)):
        if not 0 <= value < np.inf:
            raise HearlessError(f"{name} must be 0 s or more, got {value:g} s.")


def events(
    spans_s: Sequence[tuple[float, float]], scores: NDArray[Any], there: NDArray[np.bool_], labels: Sequence[str], *,
    join_s: float = 0.0, shortest_s: float = 0.0,
) -> list[Event]:  # fmt: skip
    """Return the events of one recording, in order of time, then of class.

    Args:
        spans_s: start and end of each window, in order of time; they may overlap.
        scores: ``[window, class]``.
        there: which classes are said to be there ``[window, class]``.
        labels: the classes.
        join_s: events of one class that lie no further apart become one.
        shortest_s: events shorter than this, once joined, are left out.

    Raises:
        HearlessError: shapes that do not fit, or times below 0.
    """
    check(join_s, shortest_s)
    if np.shape(scores) != (len(spans_s), len(labels)) or np.shape(there) != np.shape(scores):
        raise HearlessError(
            f"scores must be [window, class] {(len(spans_s), len(labels))}, got {np.shape(scores)} and "
            f"{np.shape(there)}; give a row a window."
        )
    found = [
        Event(start, end, label, score)
        for i, label in enumerate(labels)
        for start, end, score in _joined(
            ((*spans_s[n], float(scores[n, i])) for n in np.flatnonzero(there[:, i]).tolist()), join_s
        )
        if end - start >= shortest_s - ROUNDING_S
    ]
    return sorted(found, key=lambda event: event.start_s)


def _joined(windows: Iterable[tuple[float, float, float]], join_s: float) -> list[tuple[float, float, float]]:
    """Join windows (start, end, score) in order of time that lie no further apart."""
    joined: list[tuple[float, float, float]] = []
    for start, end, score in windows:
        if joined and start - joined[-1][1] <= join_s + ROUNDING_S:
            first, last, best = joined[-1]
            joined[-1] = (first, max(last, end), max(best, score))
        else:
            joined.append((start, end, score))
    return joined
