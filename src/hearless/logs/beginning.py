"""A stretch of a log, to be looked at or listened to."""

from __future__ import annotations

import numpy as np

from hearless.interfaces import HearlessError
from hearless.levels import LevelLog
from hearless.logs.listening import Floats
from hearless.logs.windows import filled, pieces, windows


def beginning(log: LevelLog, n_rows: int, start_row: int = 0) -> tuple[Floats, int]:
    """Return the first ``n_rows`` levels of a log that lie together, what is missing in them filled.

    Args:
        log: the log.
        n_rows: how many.
        start_row: from this row on.

    Returns:
        ``[n_rows, band]`` in dB, the last row repeated where the first stretch is shorter, and how many it has.

    Raises:
        HearlessError: no level among them, or ``n_rows`` below 1.
    """
    interval_s = log.table.interval_s
    stretches = pieces(log.blocks(n_rows, start_row), None, interval_s)
    first = next(windows(stretches, n_rows, n_rows, interval_s, 0), None)
    if first is None or np.isnan(first.levels_db).all():
        where = f"the {n_rows * interval_s:g} s from row {start_row} on" if start_row else (
            f"its first {n_rows * interval_s:g} s"
        )  # fmt: skip
        raise HearlessError(f"{log.table.path}: {where} hold no level; begin elsewhere (--start).")
    n_there = round((first.end_s - first.start_s) / interval_s)
    return filled(first.levels_db[None])[0], min(n_there, n_rows)
