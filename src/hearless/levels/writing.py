"""Writing level tables."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearless.interfaces import HearlessError
from hearless.levels.hdf5 import write_hdf5
from hearless.levels.npy import beside_of, write_npy
from hearless.levels.parquet import write_parquet
from hearless.levels.tables import F32
from hearless.levels.text import write_text

_WRITERS: dict[str, Callable[[Path, F32, Mapping[str, Any], datetime | None], None]] = {
    ".csv": partial(write_text, ","),
    ".tsv": partial(write_text, "\t"),
    ".parquet": write_parquet,
    ".npy": write_npy,
    ".h5": write_hdf5,
    ".hdf5": write_hdf5,
}


def write_levels(
    path: str | os.PathLike[str],
    levels_db: NDArray[Any],
    bands_hz: Sequence[float],
    interval_s: float,
    *,
    start: datetime | None = None,
) -> None:
    """Write a level table that `open_levels` reads back; the file appears whole or not at all.

    Args:
        path: CSV, TSV, Parquet, NPY or HDF5 by its extension.  NPY: ``NAME.npy.json`` beside it names the bands.
        levels_db: ``[row, band]``, written as float32; NaN is missing.
        bands_hz: nominal centre of each column.
        interval_s: seconds between rows.
        start: the first row's time; None: time counts from 0.

    Raises:
        HearlessError: an unknown extension, shapes that do not fit, or an interval that is not above 0.
    """
    path, levels = Path(path), np.asarray(levels_db, np.float32)
    if path.suffix.lower() not in _WRITERS:
        raise HearlessError(f"{path} must end in one of {', '.join(_WRITERS)}, got {path.suffix!r}.")
    if levels.ndim != 2 or levels.shape[1] != len(bands_hz) or not 0 < interval_s < math.inf:
        raise HearlessError(
            f"{path}: levels must be [row, band] with {len(bands_hz)} bands and interval_s above 0, got shape "
            f"{levels.shape} and {interval_s!r}."
        )
    facts: dict[str, Any] = {"bands_hz": [float(hz) for hz in bands_hz], "interval_s": interval_s}
    if start is not None:
        facts["start"] = start.isoformat()
    unfinished = path.with_name(path.name + ".part")
    _WRITERS[path.suffix.lower()](unfinished, levels, facts, start)
    if path.suffix.lower() == ".npy":
        beside_of(path).write_text(json.dumps(facts), encoding="utf-8")
    unfinished.replace(path)
