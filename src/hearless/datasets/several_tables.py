"""Several tables of a user's recordings as one data set: train on all of them, test on a fold of one.

No paper.  Every fold (or split) of every table is a fold here, named ``table/fold`` after the table's folder, and so
are clips and recordings; a table with neither is one fold.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from hearless.datasets.csv_labels import CsvLabels
from hearless.interfaces import Clip, HearlessError, Remote

EXAMPLE: dict[str, Any] = {"tables": "field/meta.csv;home/meta.csv"}


class SeveralTables:
    """A data set given by several tables with the usual columns (see `CsvLabels`).

    Args:
        tables: the tables, relative to the root, parted by ``;``; they lie in folders of different names.

    Raises:
        HearlessError: fewer than two tables, or two in folders of one name.
    """

    LOCATION = ("tables",)
    """The argument that says where things lie: it changes no number and stays out of a run's name."""

    def __init__(self, *, tables: str) -> None:
        self._tables = [table.strip() for table in tables.split(";") if table.strip()]
        self._check([name_of(table) for table in self._tables])
        self.labels: tuple[str, ...] | None = None
        self.multi_label: bool | None = None
        self.licence = "the user's own"
        self.source = "the user's own tables and recordings"
        self.remotes: tuple[Remote, ...] = ()

    def clips(self, root: Path) -> list[Clip]:
        """Return every clip of every table, in order.

        Raises:
            HearlessError: lists all that is wrong with a table, or two lie in folders of one name.
        """
        places = [Path(os.path.normpath(Path(root).absolute() / table)) for table in self._tables]
        self._check([place.parent.name for place in places])
        found: list[Clip] = []
        for table, place in zip(self._tables, places, strict=True):
            clips = CsvLabels(table=place.name).clips((Path(root) / table).parent)
            found += [_placed(clip, place.parent.name) for clip in clips]
        return found

    def _check(self, names: list[str]) -> None:
        if len(names) < 2 or len(set(names)) < len(names):
            raise HearlessError(
                f"tables must be two or more in folders of different names, got {', '.join(self._tables) or 'none'}; "
                "rename a folder, or give one table as it is."
            )


def name_of(table: str) -> str:
    """Return a table's folder, or itself where the root, which is not known yet, is its folder."""
    path = PurePosixPath(table)
    return path.parent.name or path.stem


def _placed(clip: Clip, name: str) -> Clip:
    part = clip.fold or clip.split
    fold = f"{name}/{part}" if part else name
    return replace(clip, id=f"{name}/{clip.id}", fold=fold, split=None, recording=f"{name}/{clip.group}")
