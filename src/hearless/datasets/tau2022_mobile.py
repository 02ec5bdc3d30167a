"""TAU Urban Acoustic Scenes 2022 Mobile, development set: ten scenes, twelve cities, nine devices, one second a clip.

Heittola, Mesaros, Virtanen (DCASE 2020 and 2022), Zenodo record 6337421; the data of paper 004.  Read in its official
layout: ``meta.csv``, ``evaluation_setup/fold1_{train,evaluate}.csv`` and ``audio/``, under the root or under the folder
that the archives unpack to.  Of its 230,400 clips fold 1 uses 139,620 for training and 29,680 for testing; the other
61,100 are in no part, as published.  Devices a, b, c are real, s1 to s6 simulated; s4 to s6 are tested only.

A clip's recording is its ``identifier``, the location in a city.  The split is described as one by location.  Should
the published tables part one all the same, each half counts as a recording of its own, so that numbers compare;
``leak_free=True`` leaves its training clips out.

Checksums are the Zenodo record's, as public loaders state them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hearless.datasets._table import duplicates, read_table, refuse
from hearless.interfaces import Clip, HearlessError, Remote

EXAMPLE: dict[str, Any] = {}

NAME = "TAU-urban-acoustic-scenes-2022-mobile-development"
RECORD = "https://zenodo.org/record/6337421"
N_TRAIN, N_TEST = 139_620, 29_680
"""One-second clips of fold 1."""

LABELS = (
    "airport", "bus", "metro", "metro_station", "park", "public_square", "shopping_mall", "street_pedestrian",
    "street_traffic", "tram",
)  # fmt: skip
SEEN_DEVICES = ("a", "b", "c", "s1", "s2", "s3")
UNSEEN_DEVICES = ("s4", "s5", "s6")
COLUMNS = ("filename", "scene_label", "identifier", "source_label")
PARTS = {"train": "fold1_train.csv", "test": "fold1_evaluate.csv"}

META_MD5 = "419b6ff6570f1030730352dc80cd8d15"
AUDIO_MD5 = (
    "8be14bdbd844481dce059ab31fbd2239", "e821abda49b069248bb75eab39df7575", "9c7897f78bb42ca0008936daddf3f8f3",
    "53ec3e37c0fc0be75f53c5abbc5300b8", "528422c33c5d10263203d2c61cb1f3be", "4759a9465c903e13e57d5e82e791fc28",
    "6d545fc83a55a17856a9ccc1ac9aff6b", "3a2916a9b5d3f43cc7a22a62b180b0d9", "071f664c86639ad730f7be4e3c39d886",
    "e0839d019e9b77ecbcbb0eff85965530", "fc60f1c83726be3963ae14fbcb95eeb4", "02246547f86c0a814dc63ec65d7033bb",
    "88ae9ef884665140d1572d8061725e00", "c3f400d74ae90e5190dc518cde43de47", "85594c6fe4f91c10aa2a410f748103b8",
    "6e2df8438c69f6789414aeba8cbad9d8",
)  # fmt: skip


def _remote(part: str, md5: str) -> Remote:
    file = f"{NAME}.{part}.zip"
    return Remote(f"{RECORD}/files/{file}?download=1", file, f"md5:{md5}", unpack=True)


class TAU2022Mobile:
    """The official fold 1.  Clips come in splits (train, test); the fold is called ``"split"``.

    Args:
        leak_free: leave out the training clips of locations that are tested.
        complete: refuse a table whose parts are not the official 139,620 and 29,680 clips.
    """

    def __init__(self, *, leak_free: bool = False, complete: bool = False) -> None:
        self.labels: tuple[str, ...] | None = LABELS
        self.multi_label: bool | None = False
        self.licence = "Tampere University's own: free for non-commercial academic use, with acknowledgement"
        self.source = RECORD
        numbered = (_remote(f"audio.{number}", md5) for number, md5 in enumerate(AUDIO_MD5, start=1))
        self.remotes: tuple[Remote, ...] = (_remote("meta", META_MD5), *numbered)
        self._leak_free, self._complete = leak_free, complete

    def clips(self, root: Path) -> list[Clip]:
        """Return the clips of fold 1's two parts, in the parts' order.

        Raises:
            HearlessError: no table (says how to get the data), or lists all that is wrong with the tables.
        """
        folder = self._folder(Path(root))
        known = {row["filename"]: row for row in self._rows(folder / "meta.csv", COLUMNS)}
        clips: list[Clip] = []
        for split, file in PARTS.items():
            table = folder / "evaluation_setup" / file
            rows = self._rows(table, COLUMNS[:2])
            problems = [f"{row['filename']}: {fault}" for row in rows for fault in _faults(row, known, folder)]
            problems += duplicates([(row["filename"], 0.0) for row in rows])
            refuse(table, problems, self._remedy)
            clips += [_clip(known[row["filename"]], folder, split) for row in rows]
        self._require_complete(folder, clips)
        return self._parted(clips)

    def _parted(self, clips: list[Clip]) -> list[Clip]:
        """Make two recordings of a location on both sides, or leave out its training clips."""
        places = {split: {clip.recording for clip in clips if clip.split == split} for split in PARTS}
        both = places["train"] & places["test"]
        if self._leak_free:
            return [clip for clip in clips if clip.split == "test" or clip.recording not in both]
        return [replace(c, recording=f"{c.recording} ({c.split})") if c.recording in both else c for c in clips]

    @property
    def _remedy(self) -> str:
        return f"download {RECORD} again and unpack every archive in one folder"

    def _folder(self, root: Path) -> Path:
        """Return where ``meta.csv`` lies."""
        for folder in (root, root / NAME):
            if (folder / "meta.csv").is_file() and (folder / "evaluation_setup").is_dir():
                return folder
        raise HearlessError(
            f"{root} must hold TAU 2022 Mobile's meta.csv, evaluation_setup/ and audio/, but it does not; "
            f"download {RECORD} and unpack every archive there."
        )

    def _rows(self, table: Path, wanted: tuple[str, ...]) -> list[dict[str, str]]:
        columns, rows, problems = read_table(table)
        refuse(table, problems + [f"no column {name}" for name in wanted if name not in columns], self._remedy)
        return rows

    def _require_complete(self, folder: Path, clips: list[Clip]) -> None:
        found = tuple(sum(clip.split == split for clip in clips) for split in PARTS)
        if self._complete and found != (N_TRAIN, N_TEST):
            raise HearlessError(
                f"{folder} must hold fold 1's {N_TRAIN} training and {N_TEST} test clips, got {found[0]} and "
                f"{found[1]}; {self._remedy}."
            )


def _clip(row: Mapping[str, str], folder: Path, split: str) -> Clip:
    """Return the clip of a row of ``meta.csv``."""
    name = row["filename"]
    return Clip(
        id=Path(name).name,
        path=folder / name,
        labels=(row["scene_label"],),
        split=split,
        recording=row["identifier"],
        device=row["source_label"],
    )


def _faults(row: Mapping[str, str], known: Mapping[str, Mapping[str, str]], folder: Path) -> list[str]:
    """Say what is wrong with a row of a part."""
    name, label = row["filename"], row["scene_label"]
    if name not in known:
        return ["not in meta.csv"]
    about = known[name]
    faults = [] if (folder / name).is_file() else ["no such file in audio/"]
    if label not in LABELS or about["scene_label"] != label:
        faults.append(f"scene {label!r} is no class, or not meta.csv's {about['scene_label']!r}")
    if about["source_label"] not in SEEN_DEVICES + UNSEEN_DEVICES:
        faults.append(f"device {about['source_label']!r} is none of TAU's")
    return faults + ([] if about["identifier"] else ["no identifier"])
