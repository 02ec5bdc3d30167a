"""Opening a level table and walking through it in blocks, in bounded memory, from any row on."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np

from hearless.interfaces import HearlessError
from hearless.levels.bands import SETS, curve_db, nominal_hz, spectrum
from hearless.levels.checks import require_db, require_none, swept
from hearless.levels.clock import Clock, Scale, interval_of, scale_of, time_columns
from hearless.levels.hdf5 import read_hdf5
from hearless.levels.npy import read_npy
from hearless.levels.parquet import read_parquet
from hearless.levels.tables import F32, F64, Note, Rows, TableFile, merged, runs
from hearless.levels.text import read_text

HEAD_ROWS = 4096
PRIMING_ROWS = 64
"""Rows read again before the one that reading resumes at, so that its step in time is judged as before."""

ERRORS = ("raise", "mark")
_OPENERS: dict[str, Callable[[Path, str | None, Sequence[float] | None], TableFile]] = {
    **dict.fromkeys((".csv", ".tsv", ".txt"), read_text),
    **dict.fromkeys((".parquet", ".pq"), read_parquet),
    ".npy": read_npy,
    **dict.fromkeys((".h5", ".hdf5"), read_hdf5),
}
FORMATS = tuple(_OPENERS)


@dataclass(frozen=True, slots=True)
class LevelTable:
    """What a table's head says.

    Attributes:
        path: the file.
        kind: ``"1/3"`` or ``"1/1"`` octave.
        bands_hz: nominal centres of the bands delivered, ascending; always the whole set of `SETS`.
        missing: which of them the file lacks.
        ignored: columns that are neither bands delivered nor time.
        interval_s: seconds between rows.
        start: the first row's time, without a zone where the file names none; None where its times are relative.
        n_rows: rows in the file, None where only reading it through would tell (text).
    """

    path: Path
    kind: str
    bands_hz: tuple[float, ...]
    missing: tuple[bool, ...]
    ignored: tuple[str, ...]
    interval_s: float
    start: datetime | None
    n_rows: int | None


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive rows.

    Attributes:
        first_row: the file's row that it starts with, counted from 0.
        times_s: float64 ``[row]``: seconds since 1970 (a clock without a zone is taken for UTC) or as in the file.
        levels_db: float32 ``[row, band]``, NaN where missing.
        gap_s: the times around the break before it, or None: it continues the block before.
        notes: what was found since the block before, rows left out included.
    """

    first_row: int
    times_s: F64
    levels_db: F32
    gap_s: tuple[float, float] | None = None
    notes: tuple[Note, ...] = ()

    @property
    def next_row(self) -> int:
        """The row to resume at."""
        return self.first_row + len(self.times_s)


@dataclass(frozen=True)
class LevelLog:
    """An opened table: what its head says in ``table``, its rows in blocks."""

    table: LevelTable
    _file: TableFile
    _columns: Mapping[int, int]
    _times: Sequence[int]
    _scale: Scale
    _curve_db: F64
    _strict: bool

    @property
    def timed(self) -> bool:
        """Whether a column tells the time; else rows follow each other."""
        return bool(self._times)

    def blocks(self, n_rows: int, start_row: int = 0) -> Iterator[Block]:
        """Yield the rows from ``start_row`` on, in memory bounded by ``n_rows``.

        Args:
            n_rows: rows in a block; fewer before a break and at the end.
            start_row: where to start, counted from 0: the ``next_row`` of a block gives exactly what came after it.

        Yields:
            Blocks; the last may be empty but for its notes.

        Raises:
            HearlessError: when it is reached, a row that is wrong (``on_error="raise"``) or a damaged file.
        """
        if n_rows < 1 or start_row < 0:
            raise HearlessError(f"n_rows must be at least 1 and start_row 0, got {n_rows} and {start_row}.")
        return _regrouped(self._pieces(start_row, min(max(n_rows, 1024), 65536)), n_rows)

    def _pieces(self, start_row: int, size: int) -> Iterator[Block]:
        clock, first = Clock(self.table.interval_s, self._scale.says), max(0, start_row - PRIMING_ROWS)
        for raw in _guarded(self.table.path, self._file.read(list(self._columns.values()), self._times, first, size)):
            before = min(max(start_row - raw.row, 0), len(raw.values))
            if before:
                list(self._judged(raw.cut(0, before), clock, strict=False))
            if before < len(raw.values):
                yield from self._judged(raw.cut(before, len(raw.values)), clock, strict=self._strict)

    def _judged(self, raw: Rows, clock: Clock, strict: bool) -> Iterator[Block]:
        """Check rows, drop those that cannot be used, part them at breaks; the first piece carries the notes."""
        values, notes = swept(raw)
        rows, times_s = raw.row + np.arange(len(values)), self._seconds(raw)
        lost = np.isin(rows, [note.first_row for note in notes if note.rule == "line"])
        unread = np.isnan(times_s) & ~lost
        stamps = [] if raw.stamps is None else raw.stamps
        notes += runs("time", rows, unread, lambda i: f"a time must be readable, got {str(stamps[i])[:40]!r}")
        usable = ~(lost | unread)
        rows, times_s = rows[usable], times_s[usable]
        keep, breaks, found = clock.judge(rows, times_s)
        notes = sorted([*notes, *found], key=lambda note: note.first_row)
        if strict:
            require_none(self.table.path, notes)
        levels_db = self._spread(values[usable])
        edges = sorted({0, *breaks, len(rows)})
        yield Block(raw.row, times_s[:0], levels_db[:0], notes=tuple(notes))
        for low, high in pairwise(edges):
            kept = low + np.flatnonzero(keep[low:high])
            gap_s = (breaks[low], float(times_s[low])) if low in breaks else None
            if len(kept):
                yield Block(int(rows[kept[0]]), times_s[kept], levels_db[kept], gap_s)

    def _seconds(self, raw: Rows) -> F64:
        if raw.stamps is not None:
            return self._scale.seconds(raw.stamps)
        start = self.table.start
        zero_s = 0.0 if start is None else (start if start.tzinfo else start.replace(tzinfo=UTC)).timestamp()
        return zero_s + np.arange(raw.row, raw.row + len(raw.values), dtype=np.float64) * self.table.interval_s

    def _spread(self, values: F64) -> F32:
        """Return the columns read at their places among all bands, the curve taken off."""
        bands = SETS[self.table.kind]
        levels_db = np.full((len(values), len(bands)), np.nan, np.float32)
        levels_db[:, [bands.index(band) for band in self._columns]] = values - self._curve_db
        return levels_db


def open_levels(
    path: str | os.PathLike[str],
    *,
    interval_s: float | None = None,
    columns: str | None = None,
    columns_hz: Sequence[float] | None = None,
    time_column: str | None = None,
    weighting: str | None = None,
    on_error: str = "raise",
) -> LevelLog:
    """Open a level table; CSV, TSV, Parquet, NPY or HDF5 by its extension.

    Args:
        path: the file.
        interval_s: seconds between rows; None: what the file states, or the median step of its clock.
        columns: only columns (in HDF5 data sets) whose name holds this are bands: ``"LZeq"``.
        columns_hz: the centre frequencies of the columns, in their order, where the format has no names (NPY, HDF5).
        time_column: the column of time; None finds it by its name, ``""`` does without one: rows follow each other.
        weighting: ``"A"`` takes the A curve off; ``"Z"`` takes the levels as they are whatever their names say.
        on_error: ``"raise"``, or ``"mark"``: what is wrong with rows is noted and the rest goes on.

    Returns:
        The opened log; nothing of it stays in memory but its head.

    Raises:
        HearlessError: the table as a whole cannot be used: what is wrong, and what to do.
    """
    path = Path(path)
    if on_error not in ERRORS:
        raise HearlessError(f"on_error must be one of {', '.join(ERRORS)}, got {on_error!r}.")
    if interval_s is not None and not 1e-3 <= interval_s < math.inf:
        raise HearlessError(f"interval_s must be at least 0.001, got {interval_s!r}.")
    file = _opened(path, columns, columns_hz)
    kind, found = spectrum(path, file.names, columns)
    curve = curve_db(path, (file.names[column] for column in found.values()), found, weighting)
    times = time_columns(path, file, time_column, found.values())
    head = next(_guarded(path, file.read(list(found.values()), times, 0, HEAD_ROWS)), None)
    if head is None:
        raise HearlessError(f"{path} must hold levels, got a header and no row; copy or export it again.")
    require_db(path, head.values, on_error == "raise")
    start = file.stated.get("start")
    scale = Scale(1.0, start is not None, start is not None and start.tzinfo is not None)
    times_s = np.zeros(0)
    if head.stamps is not None:
        scale = scale_of(path, file.names[times[0]], head.stamps)
        scale = replace(scale, zone=scale.zone and file.names[times[0]] not in file.stated.get("zoneless", ()))
        times_s = scale.seconds(head.stamps)
        start = scale.moment(float(times_s[np.isfinite(times_s)][0]))
    used = {*found.values(), *times}
    ignored = tuple(name for column, name in enumerate(file.names) if column not in used)
    step_s = interval_of(
        path, times_s, (interval_s, file.stated.get("interval_s")), () if times or time_column == "" else ignored
    )
    bands = SETS[kind]
    table = LevelTable(
        path,
        kind,
        tuple(map(nominal_hz, bands)),
        tuple(band not in found for band in bands),
        ignored,
        step_s,
        start,
        file.n_rows,
    )
    return LevelLog(table, file, found, times, scale, curve, on_error == "raise")


def _opened(path: Path, columns: str | None, columns_hz: Sequence[float] | None) -> TableFile:
    if path.suffix.lower() not in _OPENERS:
        raise HearlessError(
            f"{path} must end in one of {', '.join(FORMATS)}, got {path.suffix!r}; rename or export it."
        )
    try:
        empty = path.stat().st_size == 0
    except OSError as error:
        raise HearlessError(f"{path} cannot be read ({error.strerror}); check the path and its permissions.") from error
    if empty or path.is_dir():
        raise HearlessError(f"{path} must hold levels, got {'0 bytes' if empty else 'a folder'}; copy it again.")
    return _OPENERS[path.suffix.lower()](path, columns, columns_hz)


def _guarded(path: Path, rows: Iterator[Rows]) -> Iterator[Rows]:
    """Turn what goes wrong while reading into an error that says where."""
    done = 0
    try:
        for raw in rows:
            yield raw
            done = raw.row + len(raw.values)
    except HearlessError:
        raise
    except (OSError, ValueError, RuntimeError, csv.Error) as error:
        raise HearlessError(f"{path} is damaged after row {done} ({error}); copy or export it again.") from error


def _regrouped(pieces: Iterator[Block], size: int) -> Iterator[Block]:
    """Join and cut pieces into blocks of ``size`` that no break crosses; notes go with the first block past them."""
    held: list[Block] = []
    notes: list[Note] = []
    for piece in pieces:
        notes += piece.notes
        if held and piece.gap_s is not None:
            yield _flushed(held, notes)
            held = []
        while len(piece.times_s):
            room = size - sum(len(part.times_s) for part in held)
            held.append(replace(piece, times_s=piece.times_s[:room], levels_db=piece.levels_db[:room], notes=()))
            first_row = held[-1].next_row
            piece = Block(first_row, piece.times_s[room:], piece.levels_db[room:])
            if first_row - held[0].first_row == size:
                yield _flushed(held, notes)
                held = []
    if held:
        yield _flushed(held, notes)
    if notes:
        last_row = max(note.last_row for note in notes)
        yield Block(last_row + 1, np.zeros(0), np.zeros((0, piece.levels_db.shape[1]), np.float32), None, tuple(notes))


def _flushed(held: list[Block], notes: list[Note]) -> Block:
    """Return held pieces as one block with the notes on rows before its end, which leave ``notes``.

    A note that goes on behind the block is parted there, so that what a block tells is the same wherever reading began.
    """
    block = replace(
        held[0],
        times_s=np.concatenate([part.times_s for part in held]),
        levels_db=np.concatenate([part.levels_db for part in held]),
    )
    end = block.next_row
    told = [replace(note, last_row=min(note.last_row, end - 1)) for note in notes if note.first_row < end]
    notes[:] = [replace(note, first_row=max(note.first_row, end)) for note in notes if note.last_row >= end]
    return replace(block, notes=tuple(merged(told)))
