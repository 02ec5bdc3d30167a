"""From windows to stretches with scores: each window alone, or the mean of a period; exact wherever reading resumes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hearless.interfaces import HearlessError
from hearless.levels import Block, LevelLog, Note
from hearless.logs.listening import LevelListener, Wanted, check
from hearless.logs.windows import Window, filled, groups, period, pieces, windows

BLOCK_ROWS = 8192


@dataclass(frozen=True, slots=True)
class Stretch:
    """The scores ``[class]`` of a window or the mean of a period; none where all levels are ``missing`` (1.0)."""

    start_s: float
    end_s: float
    scores: npt.NDArray[Any]
    missing: float


@dataclass
class Place:
    """Where reading stands, plain enough for a journal.

    Attributes:
        next_row: the row that the next window starts with.
        heard: how many rows from there on a window has heard already.
        period: the number of the open period, its weighted sum of scores, their weight and the levels in it.
        notes: how many rows each kind of note was about.
    """

    next_row: int = 0
    heard: int = 0
    period: int | None = None
    total: npt.NDArray[Any] = field(default_factory=lambda: np.zeros(0))
    weight: float = 0.0
    n_levels: int = 0
    notes: dict[str, int] = field(default_factory=dict)

    @property
    def n_rows(self) -> int:
        """How many rows of the log are heard."""
        return self.next_row + self.heard


def sources(
    log: LevelLog, listener: LevelListener, wanted: Wanted, place: Place | None = None
) -> Iterator[tuple[list[Stretch], Place]]:
    """Name what is heard in a log, in bounded memory.

    Args:
        log: the opened log.
        listener: who classifies.
        wanted: periods, hop, offset.
        place: where an earlier call stood; None: the beginning.

    Yields:
        After each batch the stretches it finished, and the place to go on from; what then comes is exactly what would
        have come.  The place is one object, updated.

    Raises:
        HearlessError: log and listener do not fit, or a row is wrong and the log was opened to raise.
    """
    check(log.table, listener, wanted)
    place, pending, interval_s = place or Place(), list[Note](), log.table.interval_s
    hop = listener.n_rows if wanted.hop_s is None else round(wanted.hop_s / interval_s)
    noted = _noted(log.blocks(BLOCK_ROWS, place.next_row), pending)
    parts = pieces(noted, wanted.every_s, interval_s)
    means = None
    if wanted.every_s is not None:
        levels_each = wanted.every_s / interval_s * len(log.table.bands_hz)
        means = _Means(wanted.every_s, interval_s, levels_each, place)
    for group in groups(windows(parts, listener.n_rows, hop, interval_s, place.heard)):
        told = zip(group, _scores(listener, group, wanted.offset_db), strict=True)
        done = [
            stretch for window, scores in told
            for stretch in (_alone(window, scores, interval_s) if means is None else means.add(window, scores))
        ]  # fmt: skip
        place.next_row, place.heard = group[-1].next_row, group[-1].heard
        _settle(place, pending, place.next_row)
        yield done, place
    _settle(place, pending, None)
    yield [] if means is None else means.close(), place


def _noted(blocks: Iterable[Block], pending: list[Note]) -> Iterator[Block]:
    for block in blocks:
        pending += block.notes
        yield block


def _settle(place: Place, pending: list[Note], before: int | None) -> None:
    """Count the rows that notes are about, up to the row ``before`` (None: all); the rest stays pending."""
    later: list[Note] = []
    for note in pending:
        end = note.last_row + 1 if before is None else min(note.last_row + 1, before)
        if end > note.first_row:
            place.notes[note.rule] = place.notes.get(note.rule, 0) + end - note.first_row
        if end <= note.last_row:
            later.append(replace(note, first_row=max(end, note.first_row)))
    pending[:] = later


def _scores(listener: LevelListener, group: Sequence[Window], offset_db: float) -> list[npt.NDArray[Any]]:
    """Return the scores of windows, none for one without any level."""
    levels_db = np.stack([window.levels_db for window in group])
    some = np.array([not np.isnan(window.levels_db).all() for window in group])
    scores = np.zeros((0, len(listener.labels)))
    if some.any():
        heard = filled(levels_db[some]) + np.float32(offset_db)
        scores = np.asarray(listener.classify(np.ascontiguousarray(heard.swapaxes(1, 2))), np.float64)
        if scores.shape != (int(some.sum()), len(listener.labels)) or not np.isfinite(scores).all():
            raise HearlessError(
                f"{listener.name} must return finite scores {(int(some.sum()), len(listener.labels))}, got "
                f"{scores.shape}; check its weights and the offset of {offset_db:g} dB."
            )
    each = iter(scores)
    return [next(each) if one else np.zeros(0) for one in some]


def _alone(window: Window, scores: npt.NDArray[Any], interval_s: float) -> Iterator[Stretch]:
    """Tell a window, and what is missing before it."""
    if window.gap_s is not None and window.gap_s[1] - window.gap_s[0] > 1.5 * interval_s:
        yield Stretch(window.gap_s[0] + interval_s, window.gap_s[1], np.zeros(0), 1.0)
    yield Stretch(window.start_s, window.end_s, scores, float(np.isnan(window.levels_db).mean()))


@dataclass(frozen=True)
class _Means:
    """Averages windows over periods, each counting by how much of it is there; what is open lies in ``place``.

    ``per_period`` is how many levels a whole period has.
    """

    every_s: float
    interval_s: float
    per_period: float
    place: Place

    def add(self, window: Window, scores: npt.NDArray[Any]) -> Iterator[Stretch]:
        """Add a window; first yield the open period and periods without any level, where they end before it."""
        place, missing = self.place, np.isnan(window.levels_db)
        number = int(period(np.array([window.start_s]), self.every_s, self.interval_s)[0])
        if place.period is not None and number != place.period:
            after = place.period + 1
            yield from self.close()
            if number > after:
                yield Stretch(after * self.every_s, number * self.every_s, np.zeros(0), 1.0)
        place.period = number
        place.n_levels += int((~missing[window.fresh :]).sum())
        if len(scores):
            share = 1.0 - float(missing.mean())
            place.total = share * scores if place.weight == 0 else place.total + share * scores
            place.weight += share

    def close(self) -> list[Stretch]:
        """Return the open period, if there is one, and open none."""
        place = self.place
        if place.period is None:
            return []
        start_s, missing = place.period * self.every_s, 1.0 - place.n_levels / self.per_period
        scores = place.total / place.weight if place.weight else np.zeros(0)
        place.period, place.total, place.weight, place.n_levels = None, np.zeros(0), 0.0, 0
        return [Stretch(start_s, start_s + self.every_s, scores, min(1.0, max(0.0, missing)))]
