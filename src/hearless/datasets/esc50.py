"""ESC-50: 2000 environmental sounds of five seconds, 50 classes, five folds (Piczak, ACM Multimedia 2015).

Read in its official layout: ``meta/esc50.csv`` beside ``audio/``, under the root or under the folder that the
archive unpacks to.  A clip's recording is ``src_file``, the Freesound recording it was cut from.

The official folds part four recordings (`PARTED`), though the corpus says that they part none.  They are kept
as published, each half a recording of its own, so that numbers compare; ``leak_free=True`` leaves them out.

The archive's checksum is the one that several public users of this commit wrote down; its host publishes none.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hearless.datasets._table import duplicates, read_table, refuse
from hearless.interfaces import Clip, HearlessError, Remote

EXAMPLE: dict[str, Any] = {}

COMMIT = "33c8ce9eb2cf0b1c2f8bcf322eb349b6be34dbb6"
COLUMNS = ("filename", "fold", "target", "category", "esc10", "src_file")
FOLDS = ("1", "2", "3", "4", "5")
PARTED = ("131943", "134049", "209698", "234879")
"""Recordings with clips in two official folds."""

LABELS = (
    "dog", "rooster", "pig", "cow", "frog", "cat", "hen", "insects", "sheep", "crow",
    "rain", "sea_waves", "crackling_fire", "crickets", "chirping_birds", "water_drops", "wind", "pouring_water",
    "toilet_flush", "thunderstorm",
    "crying_baby", "sneezing", "clapping", "breathing", "coughing", "footsteps", "laughing", "brushing_teeth",
    "snoring", "drinking_sipping",
    "door_wood_knock", "mouse_click", "keyboard_typing", "door_wood_creaks", "can_opening", "washing_machine",
    "vacuum_cleaner", "clock_alarm", "clock_tick", "glass_breaking",
    "helicopter", "chainsaw", "siren", "car_horn", "engine", "train", "church_bells", "airplane", "fireworks",
    "hand_saw",
)  # fmt: skip
ESC10 = (
    "dog", "rooster", "rain", "sea_waves", "crackling_fire", "crying_baby", "sneezing", "clock_tick", "helicopter",
    "chainsaw",
)  # fmt: skip


class ESC50:
    """The ESC-50 corpus, or its ten-class part.

    Args:
        esc10: only the 400 clips and ten classes of ESC-10.
        leak_free: leave out the clips of the four recordings that the official folds part.
    """

    def __init__(self, *, esc10: bool = False, leak_free: bool = False) -> None:
        self.labels: tuple[str, ...] | None = ESC10 if esc10 else LABELS
        self.multi_label: bool | None = False
        self.licence = "CC BY" if esc10 else "CC BY-NC 3.0 (the ESC-10 part: CC BY)"
        self.source = "https://github.com/karolpiczak/ESC-50"
        self.remotes: tuple[Remote, ...] = (
            Remote(
                url=f"{self.source}/archive/{COMMIT}.zip",
                filename="esc50.zip",
                checksum="sha256:661183a6f53ef04f12c9bd618fed0ddc1713280d6c94a5a5431e844ba6f6a21f",
                unpack=True,
            ),
        )
        self._esc10, self._leak_free = esc10, leak_free

    def clips(self, root: Path) -> list[Clip]:
        """Return the clips of ``meta/esc50.csv``, in its order.

        Raises:
            HearlessError: no table (says how to get the data), or lists all that is wrong with it.
        """
        table = self._table(Path(root))
        columns, rows, problems = read_table(table)
        missing = [name for name in COLUMNS if name not in columns]
        remedy = f"unpack {self.remotes[0].url} again"
        refuse(table, problems + [f"no column {name}" for name in missing], remedy)
        audio = table.parent.parent / "audio"
        problems = [f"{row['filename']}: {fault}" for row in rows for fault in _faults(row, audio)]
        refuse(table, problems + duplicates([(row["filename"], 0.0) for row in rows]), remedy)
        rows = [row for row in rows if not self._esc10 or row["category"] in ESC10]
        return [_clip(row, audio) for row in rows if not (self._leak_free and row["src_file"] in PARTED)]

    def _table(self, root: Path) -> Path:
        """Return where ``esc50.csv`` lies."""
        unpacked = sorted(root.glob("ESC-50-*/meta/esc50.csv"))
        table = next((path for path in (root / "meta" / "esc50.csv", *unpacked) if path.is_file()), None)
        if table is None:
            raise HearlessError(
                f"{root} must hold ESC-50's meta/esc50.csv and audio/, but it does not; "
                "download it by: hearless fetch esc50."
            )
        return table


def _clip(row: Mapping[str, str], audio: Path) -> Clip:
    """Return the clip of a row."""
    name, fold, recording = row["filename"], row["fold"], row["src_file"]
    recording = f"{recording} (fold {fold})" if recording in PARTED else recording
    return Clip(id=name, path=audio / name, labels=(row["category"],), fold=fold, recording=recording)


def _faults(row: Mapping[str, str], audio: Path) -> list[str]:
    """Say what is wrong with a row."""
    label = row["category"]
    faults = [] if (audio / row["filename"]).is_file() and row["filename"] else ["no such file in audio/"]
    if label not in LABELS:
        faults.append(f"{label!r} is no class of ESC-50")
    elif row["target"] != str(LABELS.index(label)) or (row["esc10"] == "True") != (label in ESC10):
        faults.append(f"target {row['target']!r} and esc10 {row['esc10']!r} do not fit {label}")
    if row["fold"] not in FOLDS:
        faults.append(f"fold must be one of {', '.join(FOLDS)}, got {row['fold']!r}")
    return faults + ([] if row["src_file"] else ["no src_file"])
