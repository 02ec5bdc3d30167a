"""Which values of a level table are levels in dB, and which notes are errors."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from hearless.interfaces import HearlessError
from hearless.levels.tables import F64, Note, Rows, runs

LOUDEST_DB, SILENT_DB = 200.0, -200.0

LINEAR = 300.0
"""So far above their median do levels in dB, none of them negative, never lie; power and pressure do."""

SENTINELS = (-99.0, -99.9, -99.99, -100.0)
"""What some meters write in all bands for nothing measured."""

FAULTS = ("line", "time", "clock", "interval", "value")
"""Rules of notes that are errors unless marked; "gap", "silence", "code" and "zero" are notes always."""


def require_db(path: Path, values: F64, strict: bool) -> None:
    """Refuse a table that by its head holds no levels in dB; unless ``strict`` it may begin with nothing."""
    finite = values[np.isfinite(values) & (values > SILENT_DB)]
    remedy = "write levels in dB (20 log10 of the pressure over 20 µPa)"
    if not finite.any() and not strict:
        return
    if not len(finite):
        raise HearlessError(f"{path} must hold levels, its first {len(values)} rows hold none; cut them off.")
    if not finite.any():
        raise HearlessError(f"{path} must hold levels in dB, its first {len(values)} rows are all zero; {remedy}.")
    middle = float(np.median(finite))
    if middle > LOUDEST_DB:
        raise HearlessError(f"{path} must hold levels in dB, got a median of {middle:g}: power or µPa?  {remedy}.")
    linear = finite.max() > LINEAR * max(middle, 1e-30)
    if finite.min() >= 0 and ((middle < 0.5 and finite.max() < 20) or linear):
        raise HearlessError(
            f"{path} must hold levels in dB, got values from {finite.min():g} to {finite.max():g}: pressure in Pa, or "
            f"power?  {remedy}."
        )


def swept(raw: Rows) -> tuple[F64, list[Note]]:
    """Return values with NaN for all that is no level, and notes of it."""
    values, rows = raw.values, raw.row + np.arange(len(raw.values))
    silent, loud = values <= SILENT_DB, values > LOUDEST_DB
    coded = np.isin(values[:, 0], SENTINELS) & np.all(values == values[:, :1], axis=1)
    zero = np.all((values == 0) | np.isnan(values), axis=1) & np.any(values == 0, axis=1)
    notes = [
        *raw.notes,
        *runs("silence", rows, np.any(silent, axis=1), lambda _: "-inf or below -200 dB, taken for missing"),
        *runs("code", rows, coded, lambda i: f"all bands {values[i, 0]:g}, a code for nothing, taken for missing"),
        *runs("zero", rows, zero, lambda _: "all bands exactly 0, taken for missing"),
        *(
            Note("value", int(rows[i]), int(rows[i]), f"a level must be below 200 dB, got {values[i][loud[i]][0]:g}")
            for i in np.flatnonzero(np.any(loud, axis=1))
        ),
    ]
    return np.where(silent | loud | (zero | coded)[:, None], np.nan, values), notes


def require_none(path: Path, notes: Iterable[Note]) -> None:
    """Raise the first note that is a fault."""
    for note in notes:
        if note.rule in FAULTS:
            raise HearlessError(
                f"{path}, row {note.first_row} (counted from 0, without the header): {note.says}; mend it, or go on "
                "without it by on_error='mark'."
            )
