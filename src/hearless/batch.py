"""Thousands of files into one table, with a journal beside it: killed at any moment, the same call goes on.

``OUT.journal.jsonl`` is only ever added to: a line that says what was asked for, then a line a file with its rows or
why it could not be read.  A line torn by a crash is dropped.  The table is made from the journal at the end, so that it
is byte for byte that of an unbroken call.  A file is heard again only where its size or time of change is another.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from hearless import events, predict, writing
from hearless.interfaces import HearlessError
from hearless.predict import FilePrediction, Listener, Progress

CLIP_COLUMNS = predict.COLUMNS
EVENT_COLUMNS = ("path", "start_s", "end_s", "label", "score", "error")
TYPES = {
    "path": "string", "start_s": "double", "end_s": "double", "label": "string", "score": "double", "named": "int8",
    "error": "string",
}  # fmt: skip

SYNC_S = 2.0
"""Seconds between two times that the journal is brought to the disk."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Wanted:
    """What the table should hold.

    Attributes:
        events: from when to when each class is there, instead of scores of files.
        windows: scores of each window, not only of the file.
        hop_s: seconds between windows; None: the window, so that each sample is heard once.
        top: labels in a row; None: all.
        join_s: events of one class that lie no further apart become one.
        shortest_s: shorter events are left out.
    """

    events: bool = False
    windows: bool = False
    hop_s: float | None = None
    top: int | None = None
    join_s: float = 0.0
    shortest_s: float = 0.0


@dataclass(frozen=True)
class Written:
    """A finished table: where it is, how many files it is of, how many were heard now, and why others could not be."""

    path: Path
    n_files: int
    n_heard: int
    broken: tuple[tuple[str, str], ...]


def write(
    listener: Listener, paths: Sequence[str | Path] | str | Path, out: str | Path, wanted: Wanted | None = None, *,
    name: str = "", form: str = "", on_progress: Progress | None = None,
) -> Written:  # fmt: skip
    """Write the table of files and folders; killed, the same call goes on where it was.

    Args:
        listener: who classifies.
        paths: files and folders.
        out: the table.
        wanted: what it should hold.
        name: of the model; another model is another table.
        form: one of `hearless.writing.FORMATS`; "": by the ending of ``out``.
        on_progress: told after each file how many are done, how many there are, and the file.

    Raises:
        HearlessError: options that break a rule, a journal of another model or other options, or one that another
            call is writing.  A file that cannot be read raises nothing: it is among ``broken``.
    """
    out, wanted = Path(out), wanted or Wanted()
    form = writing.format_of(out, form)
    found = predict.found([paths] if isinstance(paths, (str, Path)) else list(paths))
    _check(wanted, out, form, len(found))
    with _alone(out):
        journal = _Journal(out, _said(listener, name, wanted))
        pending = [path for path in found if not journal.knows(path)]
        if pending:
            _hear(listener, pending, journal, wanted, on_progress)
        _render(journal, found, out, form, wanted, listener)
    errors = ((str(path), journal.entry(path)["error"]) for path in found)
    return Written(out, len(found), len(pending), tuple((path, error) for path, error in errors if error))


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Hold a table's journal, which ends with the process however it ends; nobody else may write it meanwhile."""
    out.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(_beside(out, ".lock"), blocking=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise HearlessError(
            f"{out} must be written by one call at a time, another one is at it; wait for it, or write to another file."
        ) from error
    try:
        yield
    finally:
        with suppress(OSError):  # of systems that do not delete a file in use
            Path(lock.lock_file).unlink()
        lock.release()


def _beside(out: Path, ending: str) -> Path:
    return out.with_name(f"{out.name}.journal{ending}")


def _check(wanted: Wanted, out: Path, form: str, n_files: int) -> None:
    events.check(wanted.join_s, wanted.shortest_s)
    if form in ("raven", "audacity") and not wanted.events:
        raise HearlessError(f"{form} shows events; ask for events, or write {out.stem}.csv.")
    if form == "audacity" and n_files > 1:
        raise HearlessError(f"a label track is of one sound, got {n_files}; name one, or write CSV, Parquet or Raven.")
    writing.check(form, out)


def _said(listener: Listener, name: str, wanted: Wanted) -> dict[str, Any]:
    """Return what a journal must be about to be gone on with."""
    rule = {"multi_label": listener.multi_label, "thresholds": listener.thresholds, "none_below": listener.none_below}
    heard = {"rate_hz": listener.rate_hz, "window_s": listener.window_s}
    return {"model": name, "labels": listener.labels, "hears": heard, "rule": rule, "options": asdict(wanted)}


class _Journal:
    """What is known of each file, in ``OUT.journal.jsonl``: where its line begins, and of which content it is."""

    def __init__(self, out: Path, said: Mapping[str, Any]) -> None:
        self.path, self.said = _beside(out, ".jsonl"), json.loads(json.dumps(said))
        self._lines: dict[str, tuple[int, int]] = {}
        self._contents: dict[str, list[int] | None] = {}
        self.n_bytes = 0
        if self.path.is_file():
            self._read(out)

    def _read(self, out: Path) -> None:
        with self.path.open("rb") as file:
            for number, line in enumerate(file):
                kept = _parsed(line)
                if kept is None:
                    break
                if number == 0:
                    self._check_said(out, kept)
                else:
                    self._note(kept, len(line))
                    continue
                self.n_bytes = len(line)

    def _check_said(self, out: Path, kept: Mapping[str, Any]) -> None:
        if other := [name for name, value in self.said.items() if kept.get(name) != value]:
            before, now = (json.dumps(one.get(other[0]), ensure_ascii=False)[:200] for one in (kept, self.said))
            raise HearlessError(
                f"{out} was begun with another {other[0]} ({before}; now {now}); write to another file, or delete "
                f"{self.path} to begin anew."
            )

    def _note(self, entry: Mapping[str, Any], size: int) -> None:
        self._lines[entry["path"]] = (self.n_bytes, size)
        self._contents[entry["path"]] = entry["content"]
        self.n_bytes += size

    def knows(self, path: Path) -> bool:
        """Say whether a file was heard as it is now; one that is not there never was."""
        content = _content(path)
        return content is not None and self._contents.get(str(path)) == content

    def entry(self, path: Path) -> dict[str, Any]:
        """Return what is known of a file."""
        begin, size = self._lines[str(path)]
        with self.path.open("rb") as file:
            file.seek(begin)
            return dict(json.loads(file.read(size)))

    def add(self, entries: Iterator[dict[str, Any]]) -> None:
        """Add entries as they come; what is torn at the end is dropped first."""
        with self.path.open("r+b" if self.n_bytes else "wb") as file:
            file.truncate(self.n_bytes)
            file.seek(self.n_bytes)
            if not self.n_bytes:
                self.n_bytes = file.write(_line(self.said))
            synced_at = time.monotonic()
            for entry in entries:
                self._note(entry, file.write(_line(entry)))
                file.flush()
                if time.monotonic() - synced_at >= SYNC_S:
                    writing.synced(file)
                    synced_at = time.monotonic()
            writing.synced(file)


def _line(data: Mapping[str, Any]) -> bytes:
    return (json.dumps(data) + "\n").encode()


def _parsed(line: bytes) -> dict[str, Any] | None:
    """Return what a line says, None for one that was torn."""
    try:
        return dict(json.loads(line)) if line.endswith(b"\n") else None
    except (ValueError, TypeError):
        return None


def _content(path: Path) -> list[int] | None:
    """Return what tells a file's content: its size and its time of change; None where it is not there."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return [found.st_size, found.st_mtime_ns]


def _hear(
    listener: Listener, pending: list[Path], journal: _Journal, wanted: Wanted, on_progress: Progress | None
) -> None:
    """Hear files into the journal."""

    def entries() -> Iterator[dict[str, Any]]:
        for path, content, one in zip(pending, map(_content, pending), said, strict=False):
            rows = _events(listener, one, wanted) if wanted.events and not one.error else list(predict.rows(one))
            yield {"path": str(path), "content": content, "seconds": one.seconds, "error": one.error, "rows": rows}
        next(said, None)  # it tells of a file once it is asked for the next

    said = predict.predict(
        listener, pending, hop_s=wanted.hop_s, top=wanted.top, windows=wanted.windows or wanted.events,
        on_progress=on_progress,
    )  # fmt: skip
    journal.add(entries())


def _events(listener: Listener, one: FilePrediction, wanted: Wanted) -> list[Row]:
    windows = one.windows or []
    scores = np.stack([window.scores for window in windows])
    found = events.events(
        [(window.start_s, window.end_s) for window in windows], scores, listener.named(scores), listener.labels,
        join_s=wanted.join_s, shortest_s=wanted.shortest_s,
    )  # fmt: skip
    return [{"path": str(one.path), **asdict(event)} for event in found]


def _render(journal: _Journal, found: Sequence[Path], out: Path, form: str, wanted: Wanted, listener: Listener) -> None:
    """Make the table from the journal; it is whole or not there."""
    partial = out.with_name(out.name + ".partial")
    columns = EVENT_COLUMNS if wanted.events else CLIP_COLUMNS
    lines: Iterator[bytes] = _csv(journal, found, columns)
    if form == "raven":
        lines = writing.raven(_marks(journal, found), listener.rate_hz / 2)
    elif form == "audacity":
        lines = writing.audacity(_marks(journal, found))
    with partial.open("wb") as file:
        file.writelines(lines)
        writing.synced(file)
    if form != "parquet":
        partial.replace(out)
        return
    writing.to_parquet(partial, out, {name: TYPES[name] for name in columns})
    partial.unlink()


def _csv(journal: _Journal, found: Sequence[Path], columns: Sequence[str]) -> Iterator[bytes]:
    yield writing.lines([columns])
    for path in found:
        yield writing.lines([row.get(name, "") for name in columns] for row in journal.entry(path)["rows"])


def _marks(journal: _Journal, found: Sequence[Path]) -> Iterator[writing.Marked]:
    before_s = 0.0
    for path in found:
        entry = journal.entry(path)
        for row in entry["rows"]:
            if not entry["error"]:
                times = row["start_s"], row["end_s"]
                yield writing.Marked(row["path"], *times, row["label"], row["score"], before_s)
        before_s += entry["seconds"]
