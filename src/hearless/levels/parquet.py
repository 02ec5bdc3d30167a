"""Level tables as Parquet, read by row groups in batches (needs pyarrow)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from hearless.interfaces import HearlessError
from hearless.levels.tables import F32, F64, Rows, TableFile, extra, stated_in


def read_parquet(path: Path, _: str | None, columns_hz: Sequence[float] | None) -> TableFile:
    """Open Parquet: named columns, read by row groups in batches."""
    arrow, parquet = extra("pyarrow", path), extra("pyarrow.parquet", path)
    try:
        with parquet.ParquetFile(path) as file:
            schema, n_rows = file.schema_arrow, int(file.metadata.num_rows)
            sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    except (arrow.ArrowException, OSError) as error:
        raise HearlessError(f"{path} is no Parquet file that can be read ({error}); export it again.") from error
    names = list(schema.names)
    zoneless = [field.name for field in schema if arrow.types.is_timestamp(field.type) and field.type.tz is None]
    stated = {**stated_in(path, (schema.metadata or {}).get(b"hearless", b"{}")), "zoneless": zoneless}

    def read(bands: Sequence[int], times: Sequence[int], first: int, size: int) -> Iterator[Rows]:
        group = int(np.searchsorted(np.cumsum(sizes), first, side="right"))
        row, wanted = sum(sizes[:group]), [names[column] for column in (*bands, *times)]
        with parquet.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20) as file:
            groups = range(group, len(sizes))
            for batch in file.iter_batches(size, row_groups=groups, columns=wanted, use_threads=False):
                skipped = min(max(first - row, 0), batch.num_rows)
                part, row = batch.slice(skipped), row + batch.num_rows
                values = np.stack([_arrow_numbers(path, part.column(name)) for name in wanted[: len(bands)]], axis=1)
                stamps = _arrow_stamps(path, part.column(wanted[-1])) if times else None
                if len(values):
                    yield Rows(row - len(values), stamps, values)

    return TableFile(names, n_rows, stated, read)


def _arrow_numbers(path: Path, column: Any) -> F64:
    import pyarrow

    try:
        numbers = column.cast(pyarrow.float64(), safe=False)
    except pyarrow.ArrowException as error:
        raise HearlessError(f"{path}: levels must be numbers, got {column.type} ({error}); export them so.") from error
    return np.asarray(numbers.to_numpy(zero_copy_only=False), np.float64)


def _arrow_stamps(path: Path, column: Any) -> list[str] | F64:
    import pyarrow

    if pyarrow.types.is_timestamp(column.type):
        scale = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}[column.type.unit]
        return _arrow_numbers(path, column.cast(pyarrow.int64())) / scale
    if pyarrow.types.is_string(column.type) or pyarrow.types.is_large_string(column.type):
        return [stamp or "" for stamp in column.to_pylist()]
    return _arrow_numbers(path, column)


def write_parquet(path: Path, levels: F32, facts: Mapping[str, Any], start: datetime | None) -> None:
    """Write Parquet."""
    arrow, parquet = extra("pyarrow", path), extra("pyarrow.parquet", path)
    columns = {f"{hz:g} Hz": levels[:, band] for band, hz in enumerate(facts["bands_hz"])}
    times_s = np.arange(len(levels)) * facts["interval_s"]
    clock: dict[str, Any] = {"time_s": times_s}
    if start is not None:
        zero = np.datetime64(start.astimezone(UTC).replace(tzinfo=None) if start.tzinfo else start, "us")
        stamps = zero + np.rint(times_s * 1e6).astype("timedelta64[us]")
        clock = {"time": arrow.array(stamps, arrow.timestamp("us", tz="UTC" if start.tzinfo else None))}
    table = arrow.table({**clock, **columns}).replace_schema_metadata({"hearless": json.dumps(facts)})
    parquet.write_table(table, path)
