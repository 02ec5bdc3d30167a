"""Tables of events and scores as other programs read them: CSV, Parquet, Raven selection tables, Audacity labels.

Raven's selection tables are those of Raven Pro 1.6 (Cornell Lab of Ornithology, user's manual, "Selection tables"):
tab-separated, a heading, times from the beginning of all sounds opened one after the other, and for each its file and
the time within it.  Audacity's label tracks have start, end and text of each label, tab-separated, without a heading.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from hearless.interfaces import HearlessError
from hearless.levels.tables import extra

FORMATS = ("csv", "parquet", "raven", "audacity")
SUFFIXES = {".csv": "csv", ".parquet": "parquet", ".selections.txt": "raven", ".txt": "audacity"}

RAVEN = (
    "Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Low Freq (Hz)", "High Freq (Hz)", "Begin Path",
    "File Offset (s)", "Label", "Score",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Marked:
    """A stretch of a file with a label: what Raven and Audacity show.

    ``before_s`` is how long the files before it are.
    """

    path: str
    start_s: float
    end_s: float
    label: str
    score: float
    before_s: float = 0.0


def format_of(out: Path, wanted: str = "") -> str:
    """Return the format of a table: the one wanted, or that of its name's ending.

    Raises:
        HearlessError: neither says one.
    """
    if wanted and wanted not in FORMATS:
        raise HearlessError(f"format must be one of {', '.join(FORMATS)}, got {wanted!r}.")
    found = next((kind for suffix, kind in SUFFIXES.items() if out.name.lower().endswith(suffix)), "")
    if not (wanted or found):
        raise HearlessError(
            f"{out}: a table ends in {', '.join(SUFFIXES)}, got {out.suffix!r}; rename it or name a format "
            f"({', '.join(FORMATS)})."
        )
    return wanted or found


def check(form: str, out: Path) -> None:
    """Refuse a format whose package is missing.

    Raises:
        HearlessError: says what to install.
    """
    if form == "parquet":
        extra("pyarrow", out)


def lines(rows: Iterable[Sequence[Any]]) -> bytes:
    """Return rows as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode(errors="backslashreplace")


def raven(marks: Iterable[Marked], high_hz: float) -> Iterator[bytes]:
    """Yield the lines of a Raven selection table whose selections reach from 0 to ``high_hz``."""
    yield _tabbed(RAVEN)
    for number, one in enumerate(marks, start=1):
        times = (f"{one.before_s + time_s:.6f}" for time_s in (one.start_s, one.end_s))
        place = (f"{high_hz:g}", one.path, f"{one.start_s:.6f}")
        yield _tabbed((number, "Spectrogram 1", 1, *times, 0, *place, one.label, f"{one.score:.4f}"))


def audacity(marks: Iterable[Marked]) -> Iterator[bytes]:
    """Yield the lines of an Audacity label track, a label's score behind it."""
    for one in marks:
        yield _tabbed((f"{one.start_s:.6f}", f"{one.end_s:.6f}", f"{one.label} {one.score:.2f}"))


def _tabbed(cells: Iterable[Any]) -> bytes:
    """Return cells as one line; a tab or a line's end within one becomes a space."""
    return ("\t".join(" ".join(str(cell).split()) for cell in cells) + "\n").encode(errors="backslashreplace")


def to_parquet(table: Path, out: Path, types: Mapping[str, str]) -> None:
    """Turn a CSV table into Parquet, block by block; ``out`` is whole or not there.

    ``types`` are of the columns: "string", "float", "double", "int8", or a time in "ms" or "utc_ms".

    Raises:
        HearlessError: pyarrow is missing.
    """
    arrow, reader, parquet = (extra(name, out) for name in ("pyarrow", "pyarrow.csv", "pyarrow.parquet"))
    known = {
        "string": arrow.string(), "float": arrow.float32(), "double": arrow.float64(), "int8": arrow.int8(),
        "ms": arrow.timestamp("ms"), "utc_ms": arrow.timestamp("ms", tz="UTC"),
    }  # fmt: skip
    options = reader.ConvertOptions(column_types={name: known[kind] for name, kind in types.items()})
    parsing = reader.ParseOptions(newlines_in_values=True)
    made = out.with_name(out.name + ".part")
    with (
        reader.open_csv(table, parse_options=parsing, convert_options=options) as rows,
        parquet.ParquetWriter(made, rows.schema) as writer,
    ):
        for batch in rows:
            writer.write_batch(batch)
    made.replace(out)


def synced(file: IO[bytes]) -> int:
    """Bring what was written to the disk, and return where the file ends."""
    file.flush()
    os.fsync(file.fileno())
    return file.tell()
