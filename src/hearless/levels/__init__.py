"""Level tables of real meters: CSV, TSV, Parquet, NPY and HDF5 in, blocks of levels in dB out (no torch).

A meter writes a row of band levels every 125 ms or every second, for years.  `open_levels` finds the bands by their
centre frequencies in the header (IEC 61260-1, base ten: band ``n`` at ``1000 * 10 ** (n / 10)`` Hz), the clock by its
column, and hands out blocks in bounded memory, from any row on.

* A block never crosses a break: a gap is reported, not filled.  A missing band, cell or row is NaN.
* -inf and everything from -200 dB down, and rows of exact zeros, are missing: a working microphone hears at least its
  own noise, so they are a muted channel or a meter's code for nothing.
* What is wrong with a row is an error that names it, or with ``on_error="mark"`` a note on the block it belongs to:
  rows that cannot be read or that are written at another interval are left out and listed; where the clock goes back,
  nothing is left out, a new stretch begins.  What is wrong with the whole table is an error in either case.
* A-weighted bands are refused unless the caller asks for the A curve (IEC 61672-1) to be taken off again.
"""

from __future__ import annotations

from hearless.levels.fitting import estimated_offset_db, interpolate, median_db
from hearless.levels.log import FORMATS, Block, LevelLog, LevelTable, open_levels
from hearless.levels.tables import Note
from hearless.levels.writing import write_levels

__all__ = [
    "FORMATS",
    "Block",
    "LevelLog",
    "LevelTable",
    "Note",
    "estimated_offset_db",
    "interpolate",
    "median_db",
    "open_levels",
    "write_levels",
]
