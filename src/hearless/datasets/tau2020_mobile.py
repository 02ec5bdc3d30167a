"""TAU Urban Acoustic Scenes 2020 Mobile, development set, device A: ten scenes in ten-second files.

Mesaros, Heittola, Virtanen, DCASE 2018 and 2020.  Paper 003 takes the recordings of device A only (10,215 files of
``evaluation_setup/fold1_train.csv`` and then 330 of ``fold1_evaluate.csv``: 29 h 17 min) and splits the *files* at
random: a quarter set apart with seed 71, then halved with it: 7,908 to train, 1,318 to validate, 1,319 to judge.
Here with scikit-learn's own drawing, so the same files.

A file's recording is its location (``identifier``: city and number).  The published split parts locations; as
published, each part of one then counts as a recording of its own, so that numbers compare.  ``leak_free=True`` draws
whole locations instead, in the same shares with the same seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hearless.datasets._table import duplicates, read_table, refuse
from hearless.interfaces import Clip, HearlessError, Remote

EXAMPLE: dict[str, Any] = {}

LABELS = (
    "airport", "bus", "metro", "metro_station", "park", "public_square", "shopping_mall", "street_pedestrian",
    "street_traffic", "tram",
)  # fmt: skip
DEVICE = "a"
SEED = 71
COUNTS = {"train": 7908, "validation": 1318, "test": 1319}
"""Files of each part of the whole corpus."""

RECORD = "https://zenodo.org/records/3819968"
STEM = "TAU-urban-acoustic-scenes-2020-mobile-development"
SETUP = ("evaluation_setup/fold1_train.csv", "evaluation_setup/fold1_evaluate.csv")
CHECKSUMS = {
    "doc": "175f40dc3fec144347abad4d2962b7ae", "meta": "6eae9db553ce48e4ea246e34e50a3cf5",
    "audio.1": "b1e85b8a908d3d6a6ab73268f385d5c8", "audio.2": "4310a13cc2943d6ce3f70eba7ba4c784",
    "audio.3": "ed38956c4246abb56190c1e9b602b7b8", "audio.4": "97ab8560056b6816808dedc044dcc023",
    "audio.5": "b50f5e0bfed33cd8e52cb3e7f815c6cb", "audio.6": "fbf856a3a86fff7520549c899dc94372",
    "audio.7": "0dbffe7b6e45564da649378723284062", "audio.8": "bb6f77832bf0bd9f786f965beb251b2e",
    "audio.9": "a65596a5372eab10c78e08a0de797c9e", "audio.10": "2ad595819ffa1d56d2de4c7ed43205a6",
    "audio.11": "0ad29f7040a4e6a22cfd639b3a6738e5", "audio.12": "e5f4400c6b9697295fab4cf507155a2f",
    "audio.13": "8855ab9f9896422746ab4c5d89d8da2f", "audio.14": "092ad744452cd3e7de78f988a3d13020",
    "audio.15": "4b5eb85f6592aebf846088d9df76b420", "audio.16": "2e0a89723e58a3836be019e6996ae460",
}  # fmt: skip
"""MD5 of the record's archives, as public loaders state them."""


class TAU2020Mobile:
    """Device A of the TAU 2020 Mobile development set, split as paper 003 did.

    Args:
        leak_free: split by location instead of by file.
    """

    def __init__(self, *, leak_free: bool = False) -> None:
        self.labels: tuple[str, ...] | None = LABELS
        self.multi_label: bool | None = False
        self.licence = "TAU licence: non-commercial, academic use only"
        self.source = RECORD
        self.remotes: tuple[Remote, ...] = tuple(
            Remote(f"{RECORD}/files/{STEM}.{part}.zip", f"{STEM}.{part}.zip", f"md5:{md5}", unpack=True)
            for part, md5 in CHECKSUMS.items()
        )
        self._leak_free = leak_free

    def clips(self, root: Path) -> list[Clip]:
        """Return device A's files in the order of the official tables, training first.

        Raises:
            HearlessError: no tables (says how to get the data), too few files to split, or lists all that is wrong.
        """
        folder = self._folder(Path(root))
        remedy = f"unpack the files of {RECORD} again"
        meta = _rows(folder / "meta.csv", ("filename", "scene_label", "identifier", "source_label"), remedy)
        known = {row["filename"]: row for row in meta if row["source_label"] == DEVICE}
        names: list[str] = []
        for table in SETUP:
            rows = _rows(folder / table, ("filename", "scene_label"), remedy)
            ours = [row for row in rows if row["filename"].rpartition("-")[2].startswith(f"{DEVICE}.")]
            refuse(folder / table, [f for row in ours for f in _faults(row, known, folder)], remedy)
            names += [row["filename"] for row in ours]
        refuse(folder, duplicates([(name, 0.0) for name in names]), remedy)
        return self._split([known[name] for name in names], folder)

    def _split(self, rows: Sequence[Mapping[str, str]], folder: Path) -> list[Clip]:
        places = [row["identifier"] if self._leak_free else row["filename"] for row in rows]
        part = draw_parts(list(dict.fromkeys(places)))
        return [
            _clip(row, folder, part[place], leak_free=self._leak_free)
            for row, place in zip(rows, places, strict=True)
        ]  # fmt: skip

    def _folder(self, root: Path) -> Path:
        """Return the folder that holds ``meta.csv`` and the official tables."""
        for folder in (root, root / STEM):
            if all((folder / name).is_file() for name in ("meta.csv", *SETUP)):
                return folder
        raise HearlessError(
            f"{root} must hold meta.csv, audio/ and {SETUP[0]} of TAU Urban Acoustic Scenes 2020 Mobile, but it does "
            f"not; download the files of {RECORD} and unpack them there."
        )


def draw_parts(items: Sequence[str]) -> dict[str, str]:
    """Return the part of each item: a quarter set apart with seed 71, then halved into validation and test.

    Raises:
        HearlessError: fewer than four items.
    """
    from sklearn.model_selection import train_test_split

    if len(items) < 4:
        raise HearlessError(f"device A must have at least 4 files or locations to split, got {len(items)}; add some.")
    train, rest = train_test_split(list(items), test_size=0.25, random_state=SEED)
    validation, test = train_test_split(rest, test_size=0.5, random_state=SEED)
    parts = {"train": train, "validation": validation, "test": test}
    return {item: part for part, own in parts.items() for item in own}


def _clip(row: Mapping[str, str], folder: Path, part: str, *, leak_free: bool) -> Clip:
    """Return the clip of a row of ``meta.csv``."""
    name, place = row["filename"], row["identifier"]
    return Clip(
        id=Path(name).name, path=folder / name, labels=(row["scene_label"],), split=part,
        recording=place if leak_free else f"{place} ({part})", device=row["source_label"],
    )  # fmt: skip


def _rows(table: Path, columns: tuple[str, ...], remedy: str) -> list[dict[str, str]]:
    """Return the rows of a table that must have these columns."""
    found, rows, problems = read_table(table)
    refuse(table, problems + [f"no column {name}" for name in columns if name not in found], remedy)
    return rows


def _faults(row: Mapping[str, str], known: Mapping[str, Mapping[str, str]], folder: Path) -> list[str]:
    """Say what is wrong with a row of an official table."""
    name, scene = row["filename"], row["scene_label"]
    faults = [] if scene in LABELS else [f"{scene!r} is no scene"]
    if name not in known or known[name]["scene_label"] != scene:
        faults.append("meta.csv does not have it with this scene and device a")
    elif not known[name]["identifier"]:
        faults.append("no identifier in meta.csv")
    if not (folder / name).is_file():
        faults.append("no such file")
    return [f"{name}: {fault}" for fault in faults]
