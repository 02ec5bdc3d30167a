"""Who listens to a log, what its table shall hold, and whether they fit."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hearless.interfaces import HearlessError
from hearless.levels import LevelLog, LevelTable

LONG_S = 3600.0
"""A log longer than this is averaged over `EVERY_S` unless told otherwise."""

EVERY_S = 60.0
INTERVALS_S = {"fast": 0.125, "slow": 1.0}
"""The intervals that models are trained for, by the names of their setting."""

UNITS_S = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class LevelListener:
    """Whoever classifies levels, and what it needs.

    Attributes:
        classify: float32 levels ``[n, band, frame]`` in dB → scores ``[n, class]`` between 0 and 1.
        labels: the classes, in score order.
        interval_s: seconds between the levels it hears.
        window_s: how much it hears at once.
        kind: the bands it hears, as `LevelTable.kind` says them.
        name: what it is called.
        trained_by: the command that trains one like it for thirds of octaves, ``{interval}`` in the place of "fast" or
            "slow".
    """

    classify: Callable[[Floats], npt.NDArray[Any]]
    labels: tuple[str, ...]
    interval_s: float
    window_s: float
    kind: str = "1/3"
    name: str = ""
    trained_by: str = ""

    @property
    def n_rows(self) -> int:
        """Levels in a window."""
        return max(1, round(self.window_s / self.interval_s))


@dataclass(frozen=True)
class Wanted:
    """What the table should hold.

    Attributes:
        every_s: scores are averaged over periods of this length, counted from midnight; None: a row a window.
        hop_s: seconds between the starts of windows; None: the window, so that each level is heard once.
        offset_db: added to all levels.
        top: labels in a row, best first; None: all.
        only: these labels alone, in this order, instead of the best.
    """

    every_s: float | None = None
    hop_s: float | None = None
    offset_db: float = 0.0
    top: int | None = 5
    only: tuple[str, ...] = ()


def check(table: LevelTable, listener: LevelListener, wanted: Wanted) -> None:
    """Refuse a log that the listener was not trained for, and options that break a rule.

    Raises:
        HearlessError: bands, interval, hop, period, or labels that do not fit; of wrong bands or a wrong interval it
            names the command that trains for them.
    """
    same_pace = abs(table.interval_s / listener.interval_s - 1.0) <= 0.01
    if table.kind != listener.kind or not same_pace:
        raise HearlessError(
            f"{table.path}: {listener.name} hears {listener.kind}-octave levels every {listener.interval_s:g} s, the "
            f"log has {table.kind}-octave ones every {table.interval_s:g} s; {_remedy(table, listener)}."
        )
    hop_s = listener.window_s if wanted.hop_s is None else wanted.hop_s
    if not 1 <= round(hop_s / listener.interval_s) <= listener.n_rows:
        raise HearlessError(f"hop_s must be {listener.interval_s:g} s to {listener.window_s:g} s, got {hop_s:g}.")
    if wanted.every_s is not None and wanted.every_s < listener.n_rows * listener.interval_s:
        raise HearlessError(f"every must be at least the window of {listener.window_s:g} s, got {wanted.every_s:g} s.")
    if wanted.top is not None and wanted.top < 1:
        raise HearlessError(f"top must be at least 1, got {wanted.top}.")
    if unknown := [label for label in wanted.only if label not in listener.labels]:
        near = [label for label in listener.labels if any(word.lower() in label.lower() for word in unknown)]
        raise HearlessError(
            f"only must name classes of the model, got {', '.join(unknown)}; "
            f"{'like it: ' if near else 'such as '}{', '.join((near or listener.labels)[:10])}."
        )


def _remedy(table: LevelTable, listener: LevelListener) -> str:
    """Return the command that trains a model for a log's bands and interval, or what the meter should write."""
    known = [name for name, interval_s in INTERVALS_S.items() if abs(table.interval_s / interval_s - 1.0) <= 0.01]
    if not known:
        return f"log a level every {' or '.join(f'{interval_s:g} s' for interval_s in INTERVALS_S.values())}"
    octaves = "" if table.kind == "1/3" else f" --set octaves={table.kind}"
    return f"train one for it: {listener.trained_by.format(interval=known[0])}{octaves}"


def seconds_of(text: str) -> float:
    """Return the seconds of ``10min``, ``1h``, ``1s`` or ``1d``.

    Raises:
        HearlessError: it is none of them.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|min|h|d)", text.strip())
    if found is None or float(found[1]) <= 0:
        raise HearlessError(f"a period must be such as 1s, 10min, 1h or 1d, got {text!r}.")
    return float(found[1]) * UNITS_S[found[2]]


def labels_of(text: str, labels: Sequence[str]) -> tuple[str, ...]:
    """Return the labels of ``Siren, Dog``; a label may hold commas itself, the longest that is known is taken."""
    words, found = [word.strip() for word in text.split(",") if word.strip()], list[str]()
    while words:
        tried = [", ".join(words[:n]) for n in range(len(words), 0, -1)]
        found.append(next((one for one in tried if one in labels), words[0]))
        words = words[found[-1].count(", ") + 1 :]
    return tuple(found)


def n_rows(log: LevelLog) -> int:
    """Return how many rows a log has: what the file says, else an estimate from its size, less the header."""
    if log.table.n_rows is not None:
        return log.table.n_rows
    with log.table.path.open("rb") as file:
        head = file.read(1 << 16)
    return max(1, round(log.table.path.stat().st_size * max(1, head.count(b"\n")) / len(head)) - 1)


def usual_every_s(log: LevelLog) -> float | None:
    """Return what a log's scores are averaged over unless told otherwise: nothing where it is short."""
    return EVERY_S if n_rows(log) * log.table.interval_s > LONG_S else None
