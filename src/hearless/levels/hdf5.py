"""Level tables as HDF5: one data set ``[row, band]`` or one a column (needs h5py)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from hearless.interfaces import HearlessError
from hearless.levels.tables import F32, Rows, TableFile, checked_facts, extra, named


def read_hdf5(path: Path, wanted: str | None, columns_hz: Sequence[float] | None) -> TableFile:
    """Open HDF5: one data set ``[row, band]`` with attribute ``bands_hz``, or one a column, named by its frequency."""
    h5py = extra("h5py", path)
    shapes: dict[str, tuple[int, ...]] = {}
    try:
        with h5py.File(path, "r") as file:
            file.visititems(
                lambda name, item: shapes.update({name: item.shape} if isinstance(item, h5py.Dataset) else {})
            )
            matrices = [name for name, shape in shapes.items() if len(shape) == 2 and (wanted or "") in name]
            matrix = matrices[0] if len(matrices) == 1 else ""
            stated = checked_facts(path, {**file.attrs, **(file[matrix].attrs if matrix else {})})
    except OSError as error:
        raise HearlessError(f"{path} is no HDF5 file that can be read ({error}); export it again.") from error
    if len(matrices) > 1:
        raise HearlessError(f"{path} must hold one table, got {', '.join(matrices)}; say which with columns=.")
    group = matrix.rpartition("/")[0]
    names = [
        name for name, shape in shapes.items() if len(shape) == 1 and (not matrix or name.rpartition("/")[0] == group)
    ]
    n_rows = shapes[matrix][0] if matrix else max((shapes[name][0] for name in names), default=0)
    names = [name for name in names if shapes[name][0] == n_rows]
    if matrix:
        bands_hz = stated.get("bands_hz") if columns_hz is None else columns_hz
        names = [*(f"{matrix} {name}" for name in named(path, shapes[matrix][1], bands_hz)), *names]

    def read(bands: Sequence[int], times: Sequence[int], first: int, size: int) -> Iterator[Rows]:
        with h5py.File(path, "r") as file:
            for row in range(first, n_rows, size):
                rows = slice(row, row + size)
                if matrix:
                    values = np.asarray(file[matrix][rows], np.float64)[:, list(bands)]
                else:
                    values = np.stack([np.asarray(file[names[column]][rows], np.float64) for column in bands], axis=1)
                clock = file[names[times[-1]]] if times else None
                text = clock is not None and h5py.check_string_dtype(clock.dtype) is not None
                stamps = None if clock is None else clock.asstr()[rows].tolist() if text else clock[rows].astype(float)
                yield Rows(row, stamps, values)

    return TableFile(names, n_rows, stated, read)


def write_hdf5(path: Path, levels: F32, facts: Mapping[str, Any], _: datetime | None) -> None:
    """Write HDF5."""
    with extra("h5py", path).File(path, "w") as file:
        file.create_dataset("levels_db", data=levels, chunks=True, compression="gzip")
        file["levels_db"].attrs.update(facts)
