"""The table of sources: its rows as CSV and Parquet, written and read back, and by the hour of the day."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearless.interfaces import HearlessError
from hearless.levels import LevelTable
from hearless.levels.tables import extra
from hearless.logs.listening import Wanted
from hearless.logs.stretches import Stretch
from hearless.pictures import Hours
from hearless.writing import to_parquet

COLUMNS = ("start", "end", "label", "score", "missing")
HOUR_S = 3600.0


def rows_of(stretch: Stretch, table: LevelTable, labels: Sequence[str], wanted: Wanted) -> list[tuple[str, ...]]:
    """Return a stretch as the table's rows: one a label, best first or as asked for; one where nothing was heard."""
    span = (moment(stretch.start_s, table.start), moment(stretch.end_s, table.start))
    missing = f"{stretch.missing:.4g}"
    if not len(stretch.scores):
        return [(*span, "", "", missing)]
    best = np.argsort(-stretch.scores, kind="stable")[: wanted.top]
    shown = [labels.index(label) for label in wanted.only] if wanted.only else best
    return [(*span, labels[i], f"{stretch.scores[i]:.4g}", missing) for i in shown]


def moment(time_s: float, start: datetime | None) -> str:
    """Return a time as the table has it: ISO 8601 as the log's ``start`` is, or seconds where there is none."""
    thousandths = round(time_s * 1000)
    if start is None:
        return f"{thousandths / 1000:.3f}"
    return (datetime(1970, 1, 1, tzinfo=start.tzinfo) + timedelta(milliseconds=thousandths)).isoformat(
        timespec="milliseconds"
    )


def finish(partial: Path, out: Path, start: datetime | None) -> None:
    """Give the finished rows their name, as Parquet where that is asked for."""
    if out.suffix.lower() == ".csv":
        partial.replace(out)
        return
    clock = "double" if start is None else "utc_ms" if start.tzinfo else "ms"
    types = (clock, clock, "string", "float", "float")
    to_parquet(partial, out, dict(zip(COLUMNS, types, strict=True)))
    partial.unlink()


def read_table(path: str | Path) -> Iterator[tuple[datetime, datetime, str, float, float]]:
    """Yield a table's rows: start, end, label, score and missing; seconds count from 1970, "" and NaN are nothing.

    Raises:
        HearlessError: it is no table that `write` made.
    """
    path = Path(path)
    for start, end, label, score, missing in _parquet_rows(path) if path.suffix == ".parquet" else _csv_rows(path):
        yield _when(start), _when(end), label or "", math.nan if score in ("", None) else float(score), float(missing)


def _csv_rows(path: Path) -> Iterator[Sequence[Any]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        if tuple(next(rows, ())) != COLUMNS:
            raise HearlessError(f"{path} must be a table of sources with columns {', '.join(COLUMNS)}.")
        yield from rows


def _parquet_rows(path: Path) -> Iterator[Sequence[Any]]:
    with extra("pyarrow.parquet", path).ParquetFile(path) as file:
        for batch in file.iter_batches():
            yield from zip(*(batch.column(name).to_pylist() for name in COLUMNS), strict=True)


def _when(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    try:
        return datetime(1970, 1, 1) + timedelta(seconds=float(value))
    except ValueError:
        return datetime.fromisoformat(value)


def by_hour(path: str | Path, day: date | None = None) -> Hours:
    """Return a table's mean scores by hour of the day, the labels heard most first.

    A label that is not among a row's best counts as 0 there; where it is in no row of an hour, ``among`` says so.

    Args:
        path: a table that `write` made.
        day: that day alone; None: the mean over all days.

    Raises:
        HearlessError: no such day in it, or rows longer than an hour.
    """
    heard_s, days = np.zeros(24), set[date]()
    total: dict[str, NDArray[np.float64]] = {}
    named: dict[str, NDArray[np.bool_]] = {}
    last: datetime | None = None
    for start, end, label, score, missing in read_table(path):
        seconds, middle = (end - start).total_seconds(), start + (end - start) / 2
        if label and (day is None or middle.date() == day):
            if seconds > HOUR_S:
                raise HearlessError(f"{path}: rows must last an hour or less to be drawn by hour, got {seconds:g} s.")
            weight = seconds * (1.0 - missing)
            heard_s[middle.hour] += weight if start != last else 0.0
            total.setdefault(label, np.zeros(24))[middle.hour] += weight * score
            named.setdefault(label, np.zeros(24, np.bool_))[middle.hour] = True
            last = start
            days.add(middle.date())
    if not days:
        raise HearlessError(f"{path} has nothing heard{f' on {day}' if day else ''}; name another day or table.")
    clock = "hour since the log began" if min(days).year == 1970 else "hour (UTC)" if last and last.tzinfo else None
    labels = sorted(total, key=lambda label: -total[label].sum())
    scores = np.stack([total[label] for label in labels]) / np.where(heard_s > 0, heard_s, np.nan)
    among = np.stack([named[label] for label in labels])
    return Hours(tuple(labels), scores, heard_s, tuple(sorted(days)), among, **({"clock": clock} if clock else {}))
