"""Level tables as NPY arrays ``[row, band]``; ``NAME.npy.json`` beside one says what its columns are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from hearless.interfaces import HearlessError
from hearless.levels.tables import F32, Rows, TableFile, named, stated_in


def read_npy(path: Path, _: str | None, columns_hz: Sequence[float] | None) -> TableFile:
    """Open an NPY array ``[row, band]``, memory-mapped; ``NAME.npy.json`` beside it says what its columns are."""
    beside = beside_of(path)
    stated = stated_in(beside, beside.read_bytes() if beside.is_file() else b"{}")
    try:
        table = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise HearlessError(f"{path} is no NPY file that can be read ({error}); export it again.") from error
    if table.ndim != 2 or table.dtype.kind not in "fiu":
        raise HearlessError(f"{path} must hold numbers [row, band], got {table.dtype} of shape {table.shape}.")
    names = named(path, table.shape[1], stated.get("bands_hz") if columns_hz is None else columns_hz)

    def read(bands: Sequence[int], times: Sequence[int], first: int, size: int) -> Iterator[Rows]:
        for row in range(first, len(table), size):
            part = np.load(path, mmap_mode="r", allow_pickle=False)[row : row + size]
            yield Rows(row, None, np.asarray(part, np.float64)[:, list(bands)])

    return TableFile(names, len(table), stated, read)


def beside_of(path: Path) -> Path:
    """Return where an array's facts lie."""
    return path.with_name(path.name + ".json")


def write_npy(path: Path, levels: F32, _: Mapping[str, Any], __: datetime | None) -> None:
    """Write NPY."""
    with path.open("wb") as file:
        np.save(file, levels)
