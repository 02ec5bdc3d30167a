"""Sources over time from a level log of any length, with anything that can listen to levels; no torch.

A log is cut into windows that cross no break and, where scores are averaged, no period.  What is missing in a window is
filled from its neighbours, in frequency first, then in time, and its share is told; a stretch without any level becomes
a row without a label.  The table is written in whole batches with a journal beside it: killed at any moment, the same
call goes on and ends in the same bytes.
"""

from __future__ import annotations

from hearless.logs.beginning import beginning
from hearless.logs.listening import LevelListener, Wanted, check, labels_of, n_rows, seconds_of, usual_every_s
from hearless.logs.stretches import Place, Stretch, sources
from hearless.logs.tables import COLUMNS, by_hour, read_table, rows_of
from hearless.logs.writing import Progress, Written, write

__all__ = [
    "COLUMNS",
    "LevelListener",
    "Place",
    "Progress",
    "Stretch",
    "Wanted",
    "Written",
    "beginning",
    "by_hour",
    "check",
    "labels_of",
    "n_rows",
    "read_table",
    "rows_of",
    "seconds_of",
    "sources",
    "usual_every_s",
    "write",
]
