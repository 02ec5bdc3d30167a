"""Writing the table of a log of any length with a journal beside it: killed at any moment, it goes on."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hearless.interfaces import HearlessError
from hearless.levels import LevelLog
from hearless.levels.tables import extra
from hearless.logs.listening import LevelListener, Wanted, check, n_rows
from hearless.logs.stretches import Place, sources
from hearless.logs.tables import COLUMNS, finish, rows_of
from hearless.writing import lines, synced

JOURNAL_S = 2.0
"""Seconds between two entries of the journal."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Written:
    """A finished table: where it is, its rows, the log's rows, and how many of these each kind of note was about."""

    path: Path
    n_rows: int
    n_log_rows: int
    notes: Mapping[str, int]


class _Journal:
    """What is done of a table, in ``OUT.journal.json``; ``stage`` is "rows", then "whole", then "done"."""

    def __init__(self, out: Path, said: Mapping[str, Any]) -> None:
        self.path, self.partial = out.with_name(out.name + ".journal.json"), out.with_name(out.name + ".partial")
        self.out, self.said = out, json.loads(json.dumps(said))
        self.stage, self.place, self.n_bytes, self.n_rows = "rows", Place(), 0, 0
        if self.path.is_file():
            self._take(json.loads(self.path.read_text(encoding="utf-8")))

    def _take(self, kept: Mapping[str, Any]) -> None:
        """Go on from what was kept, where it is about the same log, model and options and its table is there."""
        before, now = _flat(kept["said"]), _flat(self.said)
        if other := [name for name in {**now, **before} if before.get(name) != now.get(name)]:
            name = other[0]
            raise HearlessError(
                f"{self.out} was begun with another {name} ({_short(before.get(name))}; now {_short(now.get(name))}); "
                f"write to another file, or delete {self.path} to begin anew."
            )
        there = self.partial.stat().st_size if self.partial.is_file() else -1
        if there >= kept["n_bytes"] or (self.out.is_file() and kept["stage"] != "rows"):
            place = {**kept["place"], "total": np.array(kept["place"]["total"])}
            self.stage, self.place = kept["stage"], Place(**place)
            self.n_bytes, self.n_rows = kept["n_bytes"], kept["n_rows"]

    def keep(self, stage: str, n_bytes: int, n_rows: int) -> None:
        self.stage, self.n_bytes, self.n_rows = stage, n_bytes, n_rows
        place = {**asdict(self.place), "total": self.place.total.tolist()}
        text = json.dumps(
            {"stage": stage, "n_rows": n_rows, "n_bytes": n_bytes, "place": place, "said": self.said}, indent=1
        )
        unfinished = self.path.with_name(self.path.name + ".part")
        with unfinished.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self.path)


def _flat(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was said with each option by its own name."""
    return {**{name: value for name, value in said.items() if name != "options"}, **said.get("options", {})}


def _short(value: Any) -> str:
    return json.dumps(value)[:200]


def write(
    log: LevelLog,
    listener: LevelListener,
    out: str | Path,
    wanted: Wanted,
    *,
    reading: Mapping[str, Any] | None = None,
    on_progress: Progress | None = None,
) -> Written:
    """Write the table of `sources` as CSV or Parquet; killed, the same call goes on where it was.

    Columns: start, end (ISO 8601, or seconds where the log's times are relative), label, score, missing (the share of
    levels that are).  A row a label; a stretch without any level has neither label nor score.  Until all is written
    the rows lie in ``OUT.partial`` as CSV; ``OUT.journal.json`` says what is done.

    Args:
        log: the opened log.
        listener: who classifies.
        out: the table, ``.csv`` or ``.parquet``.
        wanted: periods, hop, offset, labels.
        reading: how the log was opened; another way is another table.
        on_progress: told the rows of the log that are done, and about how many there are.

    Raises:
        HearlessError: another ending, a journal of another log, model or options, or what `sources` raises.
    """
    out = Path(out)
    if out.suffix.lower() not in (".csv", ".parquet"):
        raise HearlessError(f"{out}: sources are written as .csv or .parquet, got {out.suffix!r}.")
    if out.suffix.lower() == ".parquet":
        extra("pyarrow", out)
    check(log.table, listener, wanted)
    said = {"log": identity(log.table.path), "model": listener.name, "options": {**asdict(wanted), **(reading or {})}}
    out.parent.mkdir(parents=True, exist_ok=True)
    journal = _Journal(out, {**said, "window_s": listener.window_s})
    if journal.stage == "rows":
        _write_rows(journal, log, listener, wanted, on_progress)
    if journal.stage == "whole":
        if journal.partial.is_file():
            finish(journal.partial, out, log.table.start)
        journal.keep("done", journal.n_bytes, journal.n_rows)
    return Written(out, journal.n_rows, journal.place.n_rows, journal.place.notes)


def _write_rows(
    journal: _Journal, log: LevelLog, listener: LevelListener, wanted: Wanted, on_progress: Progress | None
) -> None:
    total, kept_at, n = n_rows(log), time.monotonic(), journal.n_rows
    with journal.partial.open("r+b" if journal.n_bytes else "wb") as file:
        file.truncate(journal.n_bytes)
        file.seek(journal.n_bytes)
        if not journal.n_bytes:
            file.write(lines([COLUMNS]))
        for done, place in sources(log, listener, wanted, journal.place):
            rows = [row for stretch in done for row in rows_of(stretch, log.table, listener.labels, wanted)]
            file.write(lines(rows))
            n += len(rows)
            if time.monotonic() - kept_at >= JOURNAL_S:
                journal.keep("rows", synced(file), n)
                kept_at = time.monotonic()
            if on_progress:
                on_progress(place.n_rows, max(total, place.n_rows))
        journal.keep("whole", synced(file), n)


def identity(path: Path) -> str:
    """Return what tells a log's content: its size and the hash of its first and last megabyte."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(1 << 20)
        file.seek(max(0, size - (1 << 20)))
        return f"{size} bytes, {hashlib.sha256(head + file.read()).hexdigest()[:16]}"
