from __future__ import annotations

import csv
import runpy
from pathlib import Path

import pytest

from hearless.datasets.urbansound8k import COUNTS, LABELS, UrbanSound8K
from hearless.interfaces import HearlessError
from hearless.splits import folds, parts

CORPORA = runpy.run_path(str(Path(__file__).parents[1] / "fakes" / "corpora.py"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    CORPORA["urbansound8k"](tmp_path)
    return tmp_path


def edit(root: Path, old: str, new: str) -> None:
    table = root / "metadata" / "UrbanSound8K.csv"
    text = table.read_text()
    assert old in text
    table.write_text(text.replace(old, new, 1))


def test_reads_the_official_layout(root: Path) -> None:
    clips = UrbanSound8K().clips(root)
    assert len(clips) == 40
    assert folds(clips) == tuple(str(n) for n in range(1, 11))
    first = clips[0]
    assert (first.id, first.labels, first.fold, first.recording) == ("1003-3-0-0.wav", ("dog_bark",), "1", "1003")
    assert first.path == root / "audio" / "fold1" / "1003-3-0-0.wav"
    assert [len(side) for side in parts(clips, "10")] == [36, 4, 0]


def test_reads_the_unpacked_archive(tmp_path: Path) -> None:
    CORPORA["urbansound8k"](tmp_path / "UrbanSound8K")
    assert len(UrbanSound8K().clips(tmp_path)) == 40


def test_short_clips_are_left_out_on_request(root: Path) -> None:
    assert {clip.id[-5] for clip in UrbanSound8K(min_duration_s=1.0).clips(root)} == {"0"}
    assert len(UrbanSound8K(min_duration_s=0.4).clips(root)) == 40


def test_published_counts() -> None:
    assert sum(COUNTS) == 8732
    assert len(COUNTS) == len(LABELS) == 10
    assert dict(zip(LABELS, COUNTS, strict=True))["gun_shot"] == 374


def test_all_problems_in_one_error(root: Path) -> None:
    (root / "audio" / "fold1" / "1003-3-0-0.wav").unlink()
    edit(root, "1,2,3,dog_bark", "1,2,3,dog")
    edit(root, "1,3,8,siren", "1,3,7,siren")
    edit(root, "1,4,8,siren", "1,11,8,siren")
    edit(root, "5008-8-0-0.wav,5008,2.0,3.5", "5008-8-0-0.wav,5008,2.0,1.5")
    edit(root, "6008-8-0-0.wav,6008,2.0", "6008-8-0-0.wav,6008,soon")
    edit(root, "7008-8-0-1.wav", "7008-8-0-0.wav")
    with pytest.raises(HearlessError) as caught:
        UrbanSound8K().clips(root)
    for part in (
        "7 problem(s)",
        "1003-3-0-0.wav: no such file in audio/fold1/",
        "'dog' is no class",
        "classID '7' does not fit siren",
        "fold must be one of 1, 2",
        "end 1.5 must be after start 2.0",
        "must be seconds, got 'soon'",
        "7008-8-0-0.wav (start 0 s) is listed 2 times",
    ):
        assert part in str(caught.value)


def test_wrong_arguments_and_columns(root: Path) -> None:
    with pytest.raises(HearlessError, match=r"min_duration_s must be 0 or more, got -1"):
        UrbanSound8K(min_duration_s=-1)
    edit(root, "fsID", "source")
    with pytest.raises(HearlessError, match="no column fsID"):
        UrbanSound8K().clips(root)


@pytest.mark.data
def test_names_targets_and_folds_fit_the_real_files(shared: Path) -> None:
    with (shared / "data" / "urbansound8k_mini_16k" / "meta.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 600
    assert all(LABELS[int(row["target"])] == row["category"] for row in rows)
    places: dict[str, set[str]] = {}
    for row in rows:
        places.setdefault(row["fsID"], set()).add(row["fold"])
    assert max(len(where) for where in places.values()) == 1
