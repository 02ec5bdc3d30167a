"""The beginning of a log, to be looked at or listened to."""

from __future__ import annotations

import numpy as np

from hearless.interfaces import HearlessError
from hearless.levels import LevelLog
from hearless.logs.listening import Floats
from hearless.logs.windows import filled, pieces, windows


def beginning(log: LevelLog, n_rows: int) -> tuple[Floats, int]:
    """Return the first ``n_rows`` levels of a log that lie together, what is missing in them filled.

    Args:
        log: the log.
        n_rows: how many.

    Returns:
        ``[n_rows, band]`` in dB, the last row repeated where the first stretch is shorter, and how many it has.

    Raises:
        HearlessError: no level among them, or ``n_rows`` below 1.
    """
    interval_s = log.table.interval_s
    stretches = pieces(log.blocks(n_rows), None, interval_s)
    first = next(windows(stretches, n_rows, n_rows, interval_s, 0), None)
    if first is None or np.isnan(first.levels_db).all():
        raise HearlessError(f"{log.table.path}: its first {n_rows * interval_s:g} s hold no level; cut them off.")
    n_there = round((first.end_s - first.start_s) / interval_s)
    return filled(first.levels_db[None])[0], min(n_there, n_rows)
