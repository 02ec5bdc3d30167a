"""What every format of level table is turned into: named columns, rows by the chunk, and notes of what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearless.interfaces import HearlessError

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Note:
    """What was found in rows ``first_row`` to ``last_row``, counted from 0; ``rule`` is one word, ``says`` the rest."""

    rule: str
    first_row: int
    last_row: int
    says: str


@dataclass(frozen=True)
class Rows:
    """Rows as a file holds them; a note with rule "line" is a row that cannot be used."""

    row: int
    stamps: list[str] | F64 | None
    values: F64
    notes: list[Note] = field(default_factory=list)

    def cut(self, first: int, last: int) -> Rows:
        """Return rows ``first`` to ``last`` of it."""
        low, high = self.row + first, self.row + last
        notes = [note for note in self.notes if low <= note.first_row < high]
        return Rows(low, None if self.stamps is None else self.stamps[first:last], self.values[first:last], notes)


Reader = Callable[[Sequence[int], Sequence[int], int, int], Iterator[Rows]]


@dataclass(frozen=True)
class TableFile:
    """A file of any format.

    Attributes:
        names: its columns.
        n_rows: its rows, None where it is text.
        stated: ``bands_hz``, ``interval_s``, ``start``, ``zoneless`` (columns of times without a zone), as far as said.
        read: ``read(columns of bands, columns of time, first row, rows at once)``.
    """

    names: list[str]
    n_rows: int | None
    stated: Mapping[str, Any]
    read: Reader


def extra(module: str, path: Path) -> Any:
    """Import a module of the extra ``levels``, or say how to get it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise HearlessError(f"{path} needs {module.partition('.')[0]}; run: pip install 'hearless[levels]'.") from error


def stated_in(path: Path, text: bytes) -> dict[str, Any]:
    """Return what JSON beside or inside a file states of it."""
    try:
        facts = json.loads(text)
    except ValueError as error:
        raise HearlessError(f"{path} must hold JSON, got {text[:60]!r} ({error}).") from error
    return checked_facts(path, facts if isinstance(facts, dict) else {})


def checked_facts(path: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``bands_hz`` as floats, ``interval_s`` as a float and ``start`` as a date, those that are there."""
    makers: dict[str, Callable[[Any], Any]] = {
        "bands_hz": lambda value: [float(hz) for hz in value],
        "interval_s": float,
        "start": lambda value: datetime.fromisoformat(str(value)),
    }
    try:
        return {key: make(facts[key]) for key, make in makers.items() if key in facts}
    except (TypeError, ValueError) as error:
        raise HearlessError(f"{path}: bands_hz must be numbers, interval_s one, start ISO 8601 ({error}).") from error


def named(path: Path, n_columns: int, bands_hz: Sequence[float] | None) -> list[str]:
    """Name the columns of a table without a header."""
    if bands_hz is None:
        raise HearlessError(
            f"{path} names no bands; say in columns_hz what its {n_columns} columns are, in their order."
        )
    if len(bands_hz) != n_columns:
        raise HearlessError(
            f"{path}: {len(bands_hz)} bands are named, it has {n_columns} columns; name each, in order."
        )
    return [f"{float(hz):.9g} Hz" for hz in bands_hz]


def runs(rule: str, rows: NDArray[np.int64], wrong: NDArray[np.bool_], says: Callable[[int], str]) -> list[Note]:
    """Return one note for each run of rows that are wrong in one way; ``says`` describes its first."""
    places = np.flatnonzero(wrong)
    parts = np.split(places, np.flatnonzero(np.diff(places) > 1) + 1) if len(places) else []
    return [Note(rule, int(rows[part[0]]), int(rows[part[-1]]), says(int(part[0]))) for part in parts]


def merged(notes: Iterable[Note]) -> list[Note]:
    """Return notes by row, those of one rule on rows that follow each other as one; breaks stay apart."""
    joined: list[Note] = []
    for note in sorted(notes, key=lambda note: (note.rule, note.first_row)):
        last = joined[-1] if joined else None
        if last and last.rule == note.rule != "gap" and note.first_row <= last.last_row + 1:
            joined[-1] = replace(last, last_row=max(last.last_row, note.last_row))
        else:
            joined.append(note)
    return sorted(joined, key=lambda note: note.first_row)
