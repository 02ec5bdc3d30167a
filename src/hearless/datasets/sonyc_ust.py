"""SONYC-UST v2.3: ten-second recordings of New York's street sensors, eight coarse classes, several at a time.

Cartwright et al., DCASE 2020.  18,510 recordings: 13,538 to train (35 sensors), 4,308 to validate (9 others), 664 to
test (48 sensors, later in time).  Read in its official layout: ``annotations.csv`` beside the unpacked audio, in one
folder or several.  A clip's recording is its sensor; the test part hears sensors of the other parts again at a later
time, so there a sensor is a recording of its own.

A class is present where the team's verified truth (annotator 0) says so; recordings without one, all of them for
training or validation, take the mean of their annotators, present from 0.5 on (paper 003's rule).  The test part and
1,380 recordings in all are verified.  What differs from paper 003's code: verified truth is used wherever it exists.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hearless.datasets._table import read_table, refuse
from hearless.interfaces import Clip, HearlessError, Remote

EXAMPLE: dict[str, Any] = {}

LABELS = (
    "engine", "machinery-impact", "non-machinery-impact", "powered-saw", "alert-signal", "music", "human-voice", "dog"
)  # fmt: skip
PRESENCE = tuple(f"{number}_{label}_presence" for number, label in enumerate(LABELS, start=1))
COLUMNS = ("split", "sensor_id", "audio_filename", "annotator_id", *PRESENCE)
SPLITS = {"train": "train", "validate": "validation", "test": "test"}
COUNTS = {"train": 13538, "validation": 4308, "test": 664}
"""Recordings of each part of the whole corpus."""

RECORD = "https://zenodo.org/records/3966543"
CHECKSUMS = (
    "bbb4dbae7d2e58e18d24878b9ee1eb51", "7c369ff37ac6a1fdd8493fdffe62e0a1", "412241c063d7f196953d3dd1c44aeb5e",
    "d2a872392d95993a2c238d305b940812", "b15b0e0cb3f8584259ef0d24293a9be3", "de745f887067433757a2f2c8f99f99bb",
    "b0286c67468369d66336f6f5ddede31f", "ff300183ab7a9d3f2f74c3b730ffeb52", "7be76b821fa6dbe20f6b50ca440e1024",
    "959f7edfbb26eadad9865069f38aa9dd", "84e94de273666c537a3e6b709ee88d9b", "44fe1f43121a7d1178aa0cdf7477793b",
    "a7eb21011f460b5ac289f8e285e875ab", "27945a8b1008eec787f97213164951e6", "fb8c7d81c3bde3a0c86c1e55e6a85a24",
    "f6af9b65d876ef96d199b9e5f0473cb9", "e8337c61a90c30989d500f950fbe443a", "3e47e85eb4564a30fe7f442ee97ec7b9",
    "c6b2ef4d0d5b7269d465c469cdbbdc4b",
)  # fmt: skip
"""MD5 of ``audio-0.tar.gz`` to ``audio-18.tar.gz``, as public loaders of the record state them."""

Row = Mapping[str, str]


class SONYCUST:
    """SONYC-UST v2.3 with its coarse classes."""

    def __init__(self) -> None:
        self.labels: tuple[str, ...] | None = LABELS
        self.multi_label: bool | None = True
        self.licence = "CC BY 4.0"
        self.source = RECORD
        table = Remote(f"{RECORD}/files/annotations.csv", "annotations.csv", "md5:70b507b15bb4cfcce4870925302f276b")
        self.remotes: tuple[Remote, ...] = (
            table,
            *(
                Remote(f"{RECORD}/files/audio-{n}.tar.gz", f"audio-{n}.tar.gz", f"md5:{md5}", unpack=True)
                for n, md5 in enumerate(CHECKSUMS)
            ),
        )

    def clips(self, root: Path) -> list[Clip]:
        """Return the recordings of ``annotations.csv``, in the order in which they first come.

        Raises:
            HearlessError: no table (says how to get the data), or lists all that is wrong with it.
        """
        table = Path(root) / "annotations.csv"
        if not table.is_file():
            raise HearlessError(
                f"{root} must hold SONYC-UST's annotations.csv and its audio, but it does not; "
                f"download the files of {RECORD} and unpack the audio there."
            )
        columns, rows, problems = read_table(table)
        remedy = f"get the files of {RECORD} again"
        refuse(table, problems + [f"no column {name}" for name in COLUMNS if name not in columns], remedy)
        files = {path.name: path for path in sorted(Path(root).rglob("*.wav"))}
        grouped: defaultdict[str, list[Row]] = defaultdict(list)
        for row in rows:
            grouped[row["audio_filename"]].append(row)
        refuse(table, [f"{name}: {f}" for name, own in grouped.items() for f in _faults(own, name in files)], remedy)
        return [_clip(own, files[name]) for name, own in grouped.items()]


def _clip(rows: Sequence[Row], path: Path) -> Clip:
    """Return the clip of a recording's annotations."""
    split, sensor = SPLITS[rows[0]["split"]], rows[0]["sensor_id"]
    return Clip(
        id=path.name, path=path, labels=present(rows), split=split,
        recording=f"sensor {sensor}" + (" (test)" if split == "test" else ""),
    )  # fmt: skip


def present(rows: Sequence[Row]) -> tuple[str, ...]:
    """Return the classes present in a recording: as verified, else by half of those who judged it (-1: did not)."""
    verified = [row for row in rows if row["annotator_id"] == "0"]
    found = []
    for label, column in zip(LABELS, PRESENCE, strict=True):
        votes = [float(row[column]) for row in verified or rows if float(row[column]) >= 0]
        if votes and sum(votes) / len(votes) >= 0.5:
            found.append(label)
    return tuple(found)


def _faults(rows: Sequence[Row], is_there: bool) -> list[str]:
    """Say what is wrong with a recording's annotations."""
    faults = [] if is_there else ["no such file below the root"]
    places = {(row["split"], row["sensor_id"]) for row in rows}
    if len(places) > 1:
        faults.append(f"annotated in {len(places)} splits or sensors; it must lie in one")
    faults += [f"split must be one of {', '.join(SPLITS)}, got {s!r}" for s, _ in sorted(places) if s not in SPLITS]
    wrong = sorted({row[column] for row in rows for column in PRESENCE} - {"-1", "0", "1"})
    if wrong:
        faults.append(f"presence must be -1, 0 or 1, got {', '.join(map(repr, wrong))}")
    elif "test" in {s for s, _ in places} and all(row["annotator_id"] != "0" for row in rows):
        faults.append("a test recording must be verified, but has no annotator 0")
    return faults + ([] if all(sensor for _, sensor in places) else ["no sensor_id"])
