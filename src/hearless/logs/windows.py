"""A log cut into windows that cross no break and no end of a period; what is missing in them filled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from hearless.levels import Block, interpolate
from hearless.logs.listening import Floats

BATCH = 64
"""Windows classified at once."""


@dataclass(frozen=True, slots=True)
class Window:
    """What is heard at once.

    Attributes:
        start_s, end_s: of its rows.
        levels_db: ``[row, band]``, NaN where missing, or filled up at the end of a stretch.
        fresh: its first row that no window before it has heard.
        next_row: where the next window begins.
        heard: how many rows from there on this one has heard.
        gap_s: the times around the break before it.
    """

    start_s: float
    end_s: float
    levels_db: Floats
    fresh: int
    next_row: int
    heard: int
    gap_s: tuple[float, float] | None


def period(times_s: npt.NDArray[Any], every_s: float, interval_s: float) -> npt.NDArray[Any]:
    """Return the periods that levels beginning at these times belong to: those their middles lie in."""
    return np.floor((times_s + interval_s / 2) / every_s).astype(np.int64)


def pieces(blocks: Iterable[Block], every_s: float | None, interval_s: float) -> Iterator[tuple[Block, bool]]:
    """Yield blocks parted where a period ends, and whether a new stretch begins with each."""
    last: int | None = None
    for block in (block for block in blocks if len(block.times_s)):
        periods = np.zeros(len(block.times_s), np.int64)
        if every_s is not None:
            periods = period(block.times_s, every_s, interval_s)
        for low, high in pairwise([0, *(np.flatnonzero(np.diff(periods)) + 1), len(periods)]):
            gap_s = None if low else block.gap_s
            part = Block(block.first_row + int(low), block.times_s[low:high], block.levels_db[low:high], gap_s)
            yield part, gap_s is not None or last not in (None, periods[low])
            last = int(periods[low])


def windows(
    pieces: Iterable[tuple[Block, bool]], size: int, hop: int, interval_s: float, heard: int
) -> Iterator[Window]:
    """Cut stretches into windows; the last of each is filled up with missing levels."""
    held: Block | None = None

    def cut(block: Block, n: int, step: int, after: int) -> Window:
        levels_db = block.levels_db[:n]
        if n < size:
            levels_db = np.pad(levels_db, ((0, size - n), (0, 0)), constant_values=np.nan)
        ends_s = (float(block.times_s[0]), float(block.times_s[n - 1]) + interval_s)
        return Window(*ends_s, levels_db, heard, block.first_row + step, after, block.gap_s)

    for piece, opens in pieces:
        if held is not None and opens:
            if (n := len(held.times_s)) > heard:
                yield cut(held, n, n, 0)
            held, heard = None, 0
        held = piece if held is None else _joined(held, piece)
        while len(held.times_s) >= size:
            yield cut(held, size, hop, size - hop)
            heard = size - hop
            held = Block(held.first_row + hop, held.times_s[hop:], held.levels_db[hop:])
    if held is not None and (n := len(held.times_s)) > heard:
        yield cut(held, n, n, 0)


def _joined(a: Block, b: Block) -> Block:
    times_s, levels_db = np.concatenate([a.times_s, b.times_s]), np.concatenate([a.levels_db, b.levels_db])
    return Block(a.first_row, times_s, levels_db, a.gap_s)


def groups(windows: Iterator[Window]) -> Iterator[list[Window]]:
    """Group windows by `BATCH`; a group depends only on where the first began, so that scores stay bit for bit."""
    while group := list(islice(windows, BATCH)):
        yield group


def filled(levels_db: Floats) -> Floats:
    """Fill what is missing in windows ``[n, row, band]``: from neighbouring bands, then from neighbouring rows."""
    if not np.isnan(levels_db).any():
        return levels_db
    n, size, n_bands = levels_db.shape
    across, _ = interpolate(levels_db.reshape(-1, n_bands))
    along, _ = interpolate(across.reshape(n, size, n_bands).swapaxes(1, 2).reshape(-1, size))
    return along.reshape(n, n_bands, size).swapaxes(1, 2)
