"""A user's own recordings, listed in a table: a row a clip, a path and its labels at the least.

No paper: this is the door for new data.  Columns are found by their usual names or mapped by hand; ``"-"``
in place of a column name says that the table has no such column, whatever its columns are called.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hearless.datasets._table import duplicates, read_table, refuse
from hearless.interfaces import Clip, HearlessError, Remote
from hearless.plural import plural
from hearless.splits import draw_folds, split_name

EXAMPLE: dict[str, Any] = {"n_folds": 2}

NONE = "-"
USUAL = {
    "path": ("path", "filename", "file", "file_name", "filepath", "audio"),
    "label": ("label", "labels", "category", "class", "class_name"),
    "start_s": ("start_s", "start", "onset"),
    "end_s": ("end_s", "end", "offset"),
    "duration_s": ("duration_s",),
    "fold": ("fold",),
    "split": ("split", "subset"),
    "group": ("group", "recording", "src_file", "source", "fsid", "speaker", "participant"),
    "device": ("device",),
}
NEEDED = ("path", "label")


class CsvLabels:
    """A data set given by a table.

    Args:
        table: the table, relative to the root or absolute; UTF-8, parted by comma, semicolon or tab.
        audio: the folder of the sounds, relative to the root or absolute; empty: each path is tried below the
            root, then ``audio/``, then ``wav/``.
        path, label, start_s, end_s, duration_s, fold, split, group, device: the *names of the columns*; empty
            finds the usual ones, ``"-"`` takes none.  Labels of one clip are parted by ``;``.  Times are in s.
            Fold values such as ``training`` are splits.  Clips of one group never part; without a group
            column, segments of one file are a group.
        n_folds: folds to draw by group where the table has neither fold nor split.
        seed: the seed of that draw.

    Raises:
        HearlessError: fewer than two folds.
    """

    LOCATION = ("table", "audio")
    """The arguments that say where things lie: they change no number and stay out of a run's name."""

    def __init__(
        self,
        *,
        table: str = "meta.csv",
        audio: str = "",
        path: str = "",
        label: str = "",
        start_s: str = "",
        end_s: str = "",
        duration_s: str = "",
        fold: str = "",
        split: str = "",
        group: str = "",
        device: str = "",
        n_folds: int = 5,
        seed: int = 0,
    ) -> None:
        if n_folds < 2:
            raise HearlessError(f"n_folds must be at least 2, got {n_folds}; one fold is tested, the others train.")
        self.labels: tuple[str, ...] | None = None
        self.multi_label: bool | None = None
        self.licence = "the user's own"
        self.source = "the user's own table and recordings"
        self.remotes: tuple[Remote, ...] = ()
        self._table, self._audio, self._n_folds, self._seed = table, audio, n_folds, seed
        self._wanted = {
            "path": path, "label": label, "start_s": start_s, "end_s": end_s, "duration_s": duration_s,
            "fold": fold, "split": split, "group": group, "device": device,
        }  # fmt: skip

    def clips(self, root: Path) -> list[Clip]:
        """Return every clip of the table, in its order.

        Raises:
            HearlessError: lists all that is wrong with the table.
        """
        table = Path(root) / self._table
        if not table.is_file():
            raise HearlessError(
                f"{table} must be a table of paths and labels, but it does not exist; give the folder that holds "
                "it as root, or its name as table (a row a clip, columns path and label)."
            )
        columns, rows, problems = read_table(table)
        found, unmapped = map_columns(columns, self._wanted)
        remedy = "mend the table, or map its columns with the data set's arguments ('-' takes no column)"
        refuse(table, problems + unmapped, remedy)
        made = [_clip(row, found, Path(root), self._audio) for row in rows]
        clips = [clip for clip, _ in made]
        problems = [f"{clip.id or 'a row'}: {fault}" for clip, faults in made for fault in faults]
        problems += duplicates([(os.path.normpath(clip.path), clip.start_s) for clip in clips])
        if len({clip.labels for clip in clips}) < 2:
            problems.append(f"one class only ({', '.join(clips[0].labels) or 'none'}); at least two are needed")
        refuse(table, problems + _places(clips), remedy)
        drawn = clips[0].fold is None and clips[0].split is None
        return draw_folds(clips, self._n_folds, self._seed) if drawn else clips


def map_columns(columns: tuple[str, ...], wanted: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return the table's column for each role that has one, and what is wrong.

    Args:
        columns: the table's columns.
        wanted: a column name by role; ``""`` finds the usual one, ``"-"`` takes none.
    """
    found = {role: name for role, name in wanted.items() if name not in ("", NONE)}
    problems = [
        f"no column {name!r} for {role}; the table has {', '.join(columns)}"
        for role, name in found.items()
        if name not in columns
    ]
    free = {name.lower(): name for name in reversed(columns) if name not in found.values()}
    for role in (role for role, name in wanted.items() if name == ""):
        usual = next((free[name] for name in USUAL[role] if name in free), None)
        if usual is not None:
            found[role] = usual
    problems += [
        f"no column for {role} (one of {', '.join(USUAL[role])}); the table has {', '.join(columns)}: "
        f"say which with {role}='…'"
        for role in NEEDED
        if role not in found
    ]
    both = [role for role in ("fold", "split") if role in found]
    if len(both) == 2:
        problems.append(f"both {found['fold']!r} and {found['split']!r} part the clips; set fold='-' or split='-'")
    return found, problems


def _clip(row: Mapping[str, str], found: Mapping[str, str], root: Path, audio: str) -> tuple[Clip, list[str]]:
    """Return a row's clip and what is wrong with it."""
    cell = {role: row[column] for role, column in found.items()}
    path, known = _path(cell["path"], root, audio)
    problems = [] if known else [f"no such file ({path})"]
    labels = tuple(dict.fromkeys(part.strip() for part in cell["label"].split(";") if part.strip()))
    problems += [] if labels else ["no label"]
    start_s, duration_s, bad_times = _times(cell)
    segmented = "start_s" in found
    fold, split = cell.get("fold") or None, cell.get("split") or None
    if fold is not None and split_name(fold) is not None:
        fold, split = None, fold
    clip = Clip(
        id=f"{cell['path']}@{start_s!r}" if segmented else cell["path"],
        path=path,
        labels=labels,
        start_s=start_s,
        duration_s=duration_s,
        fold=fold,
        split=split and (split_name(split) or split),
        recording=cell.get("group") or (cell["path"] if segmented else ""),
        device=cell.get("device") or None,
    )
    return clip, problems + bad_times


def _path(written: str, root: Path, audio: str) -> tuple[Path, bool]:
    """Return where a path written in the table lies, and whether a file is there."""
    tried = [root / folder / written for folder in ((audio,) if audio else ("", "audio", "wav"))]
    hit = next((path for path in tried if path.is_file()), None) if written else None
    return hit or tried[0], hit is not None


def _times(cell: Mapping[str, str]) -> tuple[float, float | None, list[str]]:
    """Return a row's start and duration in s and what is wrong with them; an empty cell is no limit."""
    values: dict[str, float] = {}
    problems = []
    for role in ("start_s", "end_s", "duration_s"):
        text = cell.get(role, "")
        try:
            values.update({role: float(text)} if text else {})
        except ValueError:
            problems.append(f"{role} must be a number of seconds, got {text!r}")
    start_s = values.get("start_s", 0.0)
    end_s = values.get("end_s", start_s + values["duration_s"] if "duration_s" in values else None)
    if not all(math.isfinite(value) for value in values.values()) or start_s < 0:
        return 0.0, None, [*problems, f"times must be finite and not negative, got {values}"]
    if end_s is not None and end_s <= start_s:
        return start_s, None, [*problems, f"end must lie behind start, got {start_s:g} to {end_s:g} s"]
    return start_s, None if end_s is None else end_s - start_s, problems


def _places(clips: list[Clip]) -> list[str]:
    """Describe clips without a fold or split where others have one, and split names that are none."""
    problems = []
    placed = [clip for clip in clips if clip.fold is not None or clip.split is not None]
    if placed and len(placed) < len(clips):
        some = plural(len(clips) - len(placed), "clip has", "clips have")
        problems.append(f"{some} no fold or split, the others have one")
    if len({clip.fold is None for clip in placed}) == 2:
        problems.append("folds and splits are mixed in one column")
    strange = sorted({clip.split for clip in clips if clip.split is not None} - {"train", "validation", "test"})
    if strange:
        problems.append(f"a split must be train, validation or test, got {', '.join(strange)}")
    return problems
