"""UrbanSound8K: 8,732 excerpts of at most four seconds, ten classes, ten folds (Salamon et al., ACM Multimedia 2014).

Read in its official layout: ``metadata/UrbanSound8K.csv`` beside ``audio/fold1`` … ``audio/fold10``, under the root
or under the archive's folder ``UrbanSound8K``.  A clip's recording is ``fsID``, the Freesound recording it was cut
from; the official folds part none.  1,000 clips a class but car_horn (429), gun_shot (374) and siren (929).

Paper 003 leaves out clips shorter than a second (``min_duration_s=1``; it measured the files, this reads the table).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hearless.datasets._table import duplicates, read_table, refuse
from hearless.interfaces import Clip, HearlessError, Remote

EXAMPLE: dict[str, Any] = {}

COLUMNS = ("slice_file_name", "fsID", "start", "end", "fold", "classID", "class")
FOLDS = tuple(str(fold) for fold in range(1, 11))
LABELS = (
    "air_conditioner", "car_horn", "children_playing", "dog_bark", "drilling", "engine_idling", "gun_shot",
    "jackhammer", "siren", "street_music",
)  # fmt: skip
COUNTS = (1000, 429, 1000, 1000, 1000, 1000, 374, 1000, 929, 1000)
"""Clips of each class in the whole corpus."""


class UrbanSound8K:
    """The UrbanSound8K corpus.

    Args:
        min_duration_s: leave out clips that the table says are shorter.

    Raises:
        HearlessError: a negative duration.
    """

    def __init__(self, *, min_duration_s: float = 0.0) -> None:
        if min_duration_s < 0:
            raise HearlessError(f"UrbanSound8K: min_duration_s must be 0 or more, got {min_duration_s}; try 1.")
        self.labels: tuple[str, ...] | None = LABELS
        self.multi_label: bool | None = False
        self.licence = "CC BY-NC 4.0"
        self.source = "https://zenodo.org/records/1203745"
        self.remotes: tuple[Remote, ...] = (
            Remote(
                url=f"{self.source}/files/UrbanSound8K.tar.gz",
                filename="UrbanSound8K.tar.gz",
                checksum="md5:9aa69802bbf37fb986f71ec1483a196e",
                unpack=True,
            ),
        )
        self._min_duration_s = min_duration_s

    def clips(self, root: Path) -> list[Clip]:
        """Return the clips of ``metadata/UrbanSound8K.csv``, in its order.

        Raises:
            HearlessError: no table (says how to get the data), or lists all that is wrong with it.
        """
        table = self._table(Path(root))
        columns, rows, problems = read_table(table)
        remedy = f"unpack {self.remotes[0].url} again"
        refuse(table, problems + [f"no column {name}" for name in COLUMNS if name not in columns], remedy)
        audio = table.parent.parent / "audio"
        problems = [f"{row['slice_file_name']}: {fault}" for row in rows for fault in _faults(row, audio)]
        refuse(table, problems + duplicates([(row["slice_file_name"], 0.0) for row in rows]), remedy)
        return [_clip(row, audio) for row in rows if _duration_s(row) >= self._min_duration_s]

    def _table(self, root: Path) -> Path:
        """Return where ``UrbanSound8K.csv`` lies."""
        places = [folder / "metadata" / "UrbanSound8K.csv" for folder in (root, root / "UrbanSound8K")]
        table = next((path for path in places if path.is_file()), None)
        if table is None:
            raise HearlessError(
                f"{root} must hold UrbanSound8K's metadata/UrbanSound8K.csv and audio/, but it does not; "
                f"download {self.remotes[0].url} and unpack it there."
            )
        return table


def _clip(row: Mapping[str, str], audio: Path) -> Clip:
    """Return the clip of a row."""
    name, fold = row["slice_file_name"], row["fold"]
    return Clip(
        id=name, path=audio / f"fold{fold}" / name, labels=(row["class"],), fold=fold, recording=row["fsID"]
    )  # fmt: skip


def _duration_s(row: Mapping[str, str]) -> float:
    return round(float(row["end"]) - float(row["start"]), 6)


def _faults(row: Mapping[str, str], audio: Path) -> list[str]:
    """Say what is wrong with a row."""
    faults = [] if row["fold"] in FOLDS else [f"fold must be one of {', '.join(FOLDS)}, got {row['fold']!r}"]
    name = row["slice_file_name"]
    if not faults and not (name and (audio / f"fold{row['fold']}" / name).is_file()):
        faults.append(f"no such file in audio/fold{row['fold']}/")
    if row["class"] not in LABELS:
        faults.append(f"{row['class']!r} is no class of UrbanSound8K")
    elif row["classID"] != str(LABELS.index(row["class"])):
        faults.append(f"classID {row['classID']!r} does not fit {row['class']}")
    try:
        faults += [] if _duration_s(row) > 0 else [f"end {row['end']} must be after start {row['start']}"]
    except ValueError:
        faults.append(f"start and end must be seconds, got {row['start']!r} and {row['end']!r}")
    return faults + ([] if row["fsID"] else ["no fsID"])
