"""Level tables as text: CSV, TSV and the like, a line a row."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from hearless.interfaces import HearlessError
from hearless.levels.bands import band_names, is_header
from hearless.levels.tables import F32, Note, Rows, TableFile

_BLANK = {"", "na", "n/a", "nan", "null", "none", "-", "--", "---"}


def read_text(path: Path, _: str | None, columns_hz: Sequence[float] | None) -> TableFile:
    """Open CSV or TSV: delimiter and header are where most bands are named; a comma may be the decimal sign."""
    with path.open("rb") as raw:
        start = raw.read(4096)
    encoding = "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    if b"\0" in start and encoding != "utf-16":
        raise HearlessError(
            f"{path} must be text, got NUL bytes; give CSV, TSV, Parquet, NPY or HDF5 by its extension."
        )
    if columns_hz is not None:
        raise HearlessError(f"{path}: text names its bands in a header; leave columns_hz out and add that line.")

    def lines(first: int, last: int | None = None) -> Iterator[str]:
        with path.open(encoding=encoding, errors="replace") as file:
            yield from islice((line for line in file if not line.isspace()), first, last)

    head = enumerate(lines(0, 50))
    choices = [(number, mark, [*map(str.strip, _cells(line, mark))]) for number, line in head for mark in "\t;,"]
    sizes = [max(map(len, band_names(names)), default=0) if is_header(names) else 0 for _, _, names in choices]
    if not choices:
        raise HearlessError(f"{path} must hold levels, got no line of text; copy or export it again.")
    header, mark, names = choices[int(np.argmax(sizes))]

    def read(bands: Sequence[int], times: Sequence[int], first: int, size: int) -> Iterator[Rows]:
        rest = lines(header + 1 + first)
        while chunk := list(islice(rest, size)):
            yield _parsed(chunk, first, mark, len(names), bands, times)
            first += len(chunk)

    return TableFile(names, None, {}, read)


def _cells(line: str, mark: str) -> list[str]:
    """Split one line; a line is a row, also where a quote stays open."""
    return next(csv.reader([line], delimiter=mark)) if '"' in line else line.split(mark)


def _parsed(chunk: list[str], row: int, mark: str, n_cells: int, bands: Sequence[int], times: Sequence[int]) -> Rows:
    """Turn lines into rows; a line of another length is noted as unusable, a cell that is no number as missing."""
    pick, stamps, notes = itemgetter(*bands), list[str](), list[Note]()
    values: list[list[float]] = []
    for line in chunk:
        cells = _cells(line if mark == "," else line.replace(",", "."), mark)
        number = row + len(values)
        try:
            if len(cells) != n_cells and (len(cells) < n_cells or any(map(str.strip, cells[n_cells:]))):
                notes.append(Note("line", number, number, f"a row must have {n_cells} cells, got {len(cells)}"))
                cells = [""] * n_cells
            values.append(list(map(float, pick(cells))))
        except ValueError:
            values.append([_number(cell) for cell in pick(cells)])
            bad = [cell for cell in pick(cells) if cell.strip().casefold() not in _BLANK and math.isnan(_number(cell))]
            if bad:
                notes.append(Note("value", number, number, f"a level must be a number, got {bad[0].strip()[:40]!r}"))
        stamps.append("T".join([cells[column].strip() for column in times]))
    return Rows(row, stamps if times else None, np.array(values, np.float64), notes)


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan


def write_text(mark: str, path: Path, levels: F32, facts: Mapping[str, Any], start: datetime | None) -> None:
    """Write CSV or TSV."""
    times = _times(len(levels), facts["interval_s"], start)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=mark, lineterminator="\n")
        writer.writerow(["time_s" if start is None else "time", *(f"{hz:g} Hz" for hz in facts["bands_hz"])])
        for time, row in zip(times, levels, strict=True):
            writer.writerow([time, *("" if np.isnan(level) else str(level) for level in row)])


def _times(n_rows: int, interval_s: float, start: datetime | None) -> list[str]:
    if start is None:
        return [f"{row * interval_s:.6f}".rstrip("0").rstrip(".") for row in range(n_rows)]
    return [(start + timedelta(seconds=row * interval_s)).isoformat() for row in range(n_rows)]
