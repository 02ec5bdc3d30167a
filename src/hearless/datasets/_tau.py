"""What the official fold 1 of the TAU Urban Acoustic Scenes Mobile sets has in common: layout, scenes, locations.

``meta.csv`` lists every clip with its scene, ``identifier`` (the location in a city) and ``source_label`` (the device);
``evaluation_setup/fold1_{train,evaluate}.csv`` name the clips of the two parts; some clips are in neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hearless.datasets._table import duplicates, read_table, refuse
from hearless.interfaces import Clip, HearlessError, Remote

LABELS = (
    "airport", "bus", "metro", "metro_station", "park", "public_square", "shopping_mall", "street_pedestrian",
    "street_traffic", "tram",
)  # fmt: skip
COLUMNS = ("filename", "scene_label", "identifier", "source_label")
PARTS = {"train": "fold1_train.csv", "test": "fold1_evaluate.csv"}


def archive(record: str, name: str, part: str, md5: str) -> Remote:
    """Return where one archive of a record lies."""
    file = f"{name}.{part}.zip"
    return Remote(f"{record}/files/{file}?download=1", file, f"md5:{md5}", unpack=True)


def home(root: Path, name: str, title: str, record: str) -> Path:
    """Return where ``meta.csv`` lies: the root, or the folder that the archives unpack to.

    Raises:
        HearlessError: in neither; says how to get the data.
    """
    for folder in (root, root / name):
        if (folder / "meta.csv").is_file() and (folder / "evaluation_setup").is_dir():
            return folder
    raise HearlessError(
        f"{root} must hold {title}'s meta.csv, evaluation_setup/ and audio/, but it does not; "
        f"download {record} and unpack every archive there."
    )


def fold_1(folder: Path, devices: Sequence[str], record: str) -> list[Clip]:
    """Return the clips of fold 1's two parts, in the parts' order.

    Raises:
        HearlessError: lists all that is wrong with a table.
    """
    remedy = f"download {record} again and unpack every archive in one folder"
    known = {row["filename"]: row for row in _rows(folder / "meta.csv", COLUMNS, remedy)}
    clips: list[Clip] = []
    for split, file in PARTS.items():
        table = folder / "evaluation_setup" / file
        rows = _rows(table, COLUMNS[:2], remedy)
        problems = [f"{row['filename']}: {fault}" for row in rows for fault in _faults(row, known, folder, devices)]
        refuse(table, problems + duplicates([(row["filename"], 0.0) for row in rows]), remedy)
        clips += [_clip(known[row["filename"]], folder, split) for row in rows]
    return clips


def require_complete(folder: Path, clips: Sequence[Clip], n_train: int, n_test: int, record: str) -> None:
    """Refuse parts that are not of the official sizes."""
    found = tuple(sum(clip.split == split for clip in clips) for split in PARTS)
    if found != (n_train, n_test):
        raise HearlessError(
            f"{folder} must hold fold 1's {n_train} training and {n_test} test clips, got {found[0]} and {found[1]}; "
            f"download {record} again and unpack every archive in one folder."
        )


def part_locations(clips: Sequence[Clip], *, leak_free: bool) -> list[Clip]:
    """Make two recordings of a location on both sides, or leave out its training clips."""
    places = {split: {clip.recording for clip in clips if clip.split == split} for split in PARTS}
    both = places["train"] & places["test"]
    if leak_free:
        return [clip for clip in clips if clip.split == "test" or clip.recording not in both]
    return [replace(c, recording=f"{c.recording} ({c.split})") if c.recording in both else c for c in clips]


def _rows(table: Path, wanted: tuple[str, ...], remedy: str) -> list[dict[str, str]]:
    """Return the rows of a table that must have these columns."""
    columns, rows, problems = read_table(table)
    refuse(table, problems + [f"no column {name}" for name in wanted if name not in columns], remedy)
    return rows


def _clip(row: Mapping[str, str], folder: Path, split: str) -> Clip:
    """Return the clip of a row of ``meta.csv``."""
    name = row["filename"]
    return Clip(
        id=Path(name).name, path=folder / name, labels=(row["scene_label"],), split=split,
        recording=row["identifier"], device=row["source_label"],
    )  # fmt: skip


def _faults(
    row: Mapping[str, str], known: Mapping[str, Mapping[str, str]], folder: Path, devices: Sequence[str]
) -> list[str]:
    """Say what is wrong with a row of a part."""
    name, label = row["filename"], row["scene_label"]
    if name not in known:
        return ["not in meta.csv"]
    about = known[name]
    faults = [] if (folder / name).is_file() else ["no such file in audio/"]
    if label not in LABELS or about["scene_label"] != label:
        faults.append(f"scene {label!r} is no class, or not meta.csv's {about['scene_label']!r}")
    if about["source_label"] not in devices:
        faults.append(f"device {about['source_label']!r} is none of TAU's")
    return faults + ([] if about["identifier"] else ["no identifier"])
