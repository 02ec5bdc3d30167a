"""The clock of a level table: which column, how time is written, the interval, and the steps from row to row."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hearless.interfaces import HearlessError
from hearless.levels.tables import F64, Note, TableFile

REPEATED = 8
"""So many steps in time that are not the interval but like each other are another interval, not gaps."""

_DATES = {"date", "datum", "fecha", "dato"}
_HOURS = {"time", "uhrzeit", "zeit", "heure", "hora", "ora", "tijd", "tid", "klokkeslett"}
_STAMPS = {"timestamp", "timestamps", "datetime", "epoch", "t", "ts", "utc", "zeitstempel", "horodatage"}
_TIMES = _STAMPS | _DATES | _HOURS
_QUALIFIERS = {"start", "begin", "utc", "local", "unix", "iso", "of", "stamp", "sec", "seconds", "s", "ms", "us", "ns"}
_SCALES = {"ms": 1e-3, "us": 1e-6, "ns": 1e-9}


@dataclass(frozen=True)
class Scale:
    """How time is written: ``unit_s`` seconds, or None for ISO 8601; ``epoch``: since 1970; ``zone``: one is named."""

    unit_s: float | None
    epoch: bool
    zone: bool = True

    def seconds(self, stamps: list[str] | F64) -> F64:
        """Return times in s, NaN where they cannot be read."""
        if not isinstance(stamps, list):
            return stamps * (self.unit_s or 1.0)
        return np.array([_stamp_s(stamp, self.unit_s) for stamp in stamps], np.float64)

    def moment(self, time_s: float) -> datetime | None:
        """Return a time as a date, None where times are relative."""
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=time_s) if self.epoch else None
        return moment if moment is None or self.zone else moment.replace(tzinfo=None)

    def says(self, time_s: float) -> str:
        """Return a time in words."""
        moment = self.moment(time_s)
        return f"{time_s:.3f} s" if moment is None else moment.isoformat(sep=" ")


def _stamp_s(stamp: str, unit_s: float | None) -> float:
    """Return one written time in s, NaN where it cannot be read; without a zone it is taken for UTC."""
    try:
        if unit_s is not None:
            return float(stamp) * unit_s
        moment = datetime.fromisoformat(_iso(stamp))
    except ValueError:
        return math.nan
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _iso(stamp: str) -> str:
    """Return a stamp as ISO 8601 has it: 01.06.2024 12:00 is the first of June."""
    return re.sub(r"^(\d{1,2})\.(\d{1,2})\.(\d{4})", _turned, stamp.strip().replace("/", "-"))


def _turned(found: re.Match[str]) -> str:
    return f"{found[3]}-{int(found[2]):02}-{int(found[1]):02}"


def time_columns(path: Path, file: TableFile, wanted: str | None, taken: Iterable[int]) -> list[int]:
    """Return the column of time, two where text has date and time apart, none where there is none or none is wanted."""
    if wanted is not None:
        if wanted and wanted not in file.names:
            raise HearlessError(f"{path} has no column {wanted!r} for time; it has {', '.join(file.names)}.")
        return [file.names.index(wanted)] if wanted else []
    words = {
        column: set(re.findall("[a-z]+", name.casefold().rpartition("/")[2]))
        for column, name in enumerate(file.names)
        if column not in taken
    }
    found = [column for column, said in words.items() if said & _TIMES and said <= _TIMES | _QUALIFIERS]
    pair = sorted((column for column in found), key=lambda column: not words[column] <= _DATES)
    apart = len(found) == 2 and words[pair[0]] <= _DATES and words[pair[1]] <= _HOURS
    if apart and file.n_rows is None:
        return pair
    if len(found) > 1:
        got = ", ".join(file.names[column] for column in found)
        raise HearlessError(f"{path} must have one column for time, got {got}; say which with time_column.")
    return found


def scale_of(path: Path, name: str, stamps: list[str] | F64) -> Scale:
    """Tell how time is written from the first stamp that can be read and, for small numbers, the column's name."""
    written = [stamp for stamp in stamps if str(stamp).strip() not in ("", "nan")]
    if not written:
        raise HearlessError(f"{path}: column {name!r} must hold times, got none; give time_column='' and interval_s.")
    number = _stamp_s(str(written[0]), 1.0)
    if math.isnan(number):
        if math.isnan(_stamp_s(str(written[0]), None)):
            raise HearlessError(
                f"{path}: times must be ISO 8601 (2024-06-01T12:00:00.125) or numbers, got {str(written[0])[:40]!r} in "
                f"column {name!r}; write them so, or give time_column='' and interval_s."
            )
        return Scale(None, True, datetime.fromisoformat(_iso(str(written[0]))).tzinfo is not None)
    if abs(number) < 1e8:
        named = set(re.findall("[a-z]+", name.casefold())) & set(_SCALES)
        return Scale(_SCALES[named.pop()] if named else 1.0, False)
    return Scale(10.0 ** -(3 * max(0, math.ceil((math.log10(abs(number)) - 11) / 3))), True)


def interval_of(path: Path, times: F64, stated: Sequence[float | None], others: Sequence[str] = ()) -> float:
    """Return the seconds between rows: stated, or the median step, 125 ms and 1 s taken for what they are.

    ``others`` are columns that are neither bands nor time: one of them may be time by another name.
    """
    given = next((interval for interval in stated if interval is not None), None)
    times = times[np.isfinite(times)]
    step = float(np.median(np.diff(times))) if len(times) > 1 else math.nan
    if given is not None:
        for other in (*stated, step):
            if other is not None and abs(other / given - 1.0) > 0.1:
                raise HearlessError(
                    f"{path}: interval_s is said to be {given:g} s, the table's own is {other:g} s; mend "
                    "it, or give time_column='' where the clock is too coarse to tell."
                )
        return given
    if not step >= 1e-3:
        among = f" that is known by its name, among {', '.join(others[:10])}; name it in time_column" if others else ""
        why = (
            f"it has no column for time{among}" if math.isnan(step) else f"from row to row its time goes {step:g} s on"
        )
        raise HearlessError(
            f"{path}: the interval cannot be told, {why}; give interval_s (and time_column='' where the clock is too "
            "coarse or runs backwards)."
        )
    return next((interval for interval in (0.125, 1.0) if abs(step / interval - 1.0) < 0.01), round(step, 6))


@dataclass
class Clock:
    """Judges the steps between rows, one after the other, whatever chunks they come in.

    Attributes:
        interval_s: what a step should be; one off by less than half of it is jitter.
        says: writes a time for a note.
        row: the last row seen, -1 before the first.
        last_s: its time.
        kept_s: the time of the last row kept.
        dropped: the last row was not kept.
        odd_s: the last step where that was not the interval.
        run: how many like it came in a row.
    """

    interval_s: float
    says: Callable[[float], str]
    row: int = -1
    last_s: float = math.nan
    kept_s: float = math.nan
    dropped: bool = False
    odd_s: float = math.nan
    run: int = 0

    def judge(self, rows: NDArray[np.int64], times_s: F64) -> tuple[NDArray[np.bool_], dict[int, float], list[Note]]:
        """Return which rows to keep, which break a stretch (and the time before it), and what was found."""
        keep, breaks, notes = np.ones(len(rows), np.bool_), dict[int, float](), list[Note]()
        steps = np.diff(times_s, prepend=self.last_s)
        ahead = np.diff(rows, prepend=self.row)
        odd = np.abs(steps / self.interval_s - ahead) >= 0.5  # NaN before the first row: not odd
        jumps = ahead > 1
        doubtful = np.flatnonzero(odd | jumps)
        for index in np.union1d(np.union1d(doubtful, doubtful + 1), [0]):
            if index < len(rows):
                before_s = float(times_s[index - 1]) if index and keep[index - 1] else self.kept_s
                note = self._step(int(rows[index]), float(steps[index]), before_s) if odd[index] else None
                self.odd_s, self.run = (self.odd_s, self.run) if odd[index] else (math.nan, 0)
                keep[index] = self.run < REPEATED
                notes += [note] if note else []
                parted = jumps[index] or self.dropped or (note is not None and note.rule in ("gap", "clock"))
                if keep[index] and parted and not math.isnan(before_s):
                    breaks[int(index)] = before_s
                self.dropped, self.kept_s = not keep[index], float(times_s[index]) if keep[index] else before_s
        if len(rows):
            self.row, self.last_s = int(rows[-1]), float(times_s[-1])
            self.kept_s = self.last_s if keep[-1] else self.kept_s
        return keep, breaks, notes

    def _step(self, row: int, step_s: float, before_s: float) -> Note | None:
        """Take in a step that is not the interval and say what it means."""
        alike = abs(step_s - self.odd_s) < 0.5 * self.interval_s
        self.odd_s, self.run = step_s, self.run + 1 if alike else 1
        if step_s <= 0:
            says = f"time must go on, it goes {step_s:g} s from the row before (a clock set back? log in UTC)"
            return Note("clock", row, row, says)
        if self.run >= REPEATED:
            return Note("interval", row, row, f"rows must be {self.interval_s:g} s apart, these are {step_s:g} s apart")
        after = f"nothing from {self.says(before_s)} for {step_s:g} s"
        return Note("gap", row, row, after) if step_s > self.interval_s else None
