from __future__ import annotations

import csv
import runpy
from pathlib import Path

import pytest

from hearless.datasets.esc50 import ESC10, ESC50, LABELS, PARTED
from hearless.interfaces import HearlessError
from hearless.splits import check_leaks, folds, parts

CORPORA = runpy.run_path(str(Path(__file__).parents[1] / "fakes" / "corpora.py"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    CORPORA["esc50"](tmp_path)
    return tmp_path


def edit(root: Path, old: str, new: str) -> None:
    table = root / "meta" / "esc50.csv"
    text = table.read_text()
    assert old in text
    table.write_text(text.replace(old, new, 1))


def test_reads_the_official_layout(root: Path) -> None:
    clips = ESC50().clips(root)
    assert len(clips) == 20
    assert folds(clips) == ("1", "2", "3", "4", "5")
    first = clips[0]
    assert (first.id, first.labels, first.fold, first.recording) == ("1-1000-A-0.wav", ("dog",), "1", "1000")
    assert first.path == root / "audio" / "1-1000-A-0.wav"
    assert [len(side) for side in parts(clips, "3")] == [16, 4, 0]


def test_reads_the_unpacked_archive(tmp_path: Path) -> None:
    CORPORA["esc50"](tmp_path / "ESC-50-33c8ce9")
    assert len(ESC50().clips(tmp_path)) == 20


def test_esc10_is_ten_of_the_classes(root: Path) -> None:
    assert len(LABELS) == 50
    assert [LABELS.index(label) for label in ESC10] == [0, 1, 10, 11, 12, 20, 21, 38, 40, 41]
    clips = ESC50(esc10=True).clips(root)
    assert [clip.labels for clip in clips] == [("dog",)] * 10


def test_the_recordings_that_official_folds_part(root: Path) -> None:
    for name in ("1-1000-A-0.wav", "2-2000-A-0.wav"):
        old = f"{name},{name[0]},0,dog,True,{name.split('-')[1]}"
        edit(root, old, old.rsplit(",", 1)[0] + f",{PARTED[0]}")
    official = ESC50().clips(root)
    check_leaks(official)
    assert len(official) == 20
    assert [c.recording for c in official if PARTED[0] in c.recording] == ["131943 (fold 1)", "131943 (fold 2)"]
    assert len(ESC50(leak_free=True).clips(root)) == 18


def test_all_problems_in_one_error(root: Path) -> None:
    (root / "audio" / "1-1000-A-0.wav").unlink()
    edit(root, "2-2000-A-0.wav,2,0,dog", "2-2000-A-0.wav,2,0,doge")
    edit(root, "2-2000-B-0.wav,2,0,dog", "2-2000-B-0.wav,2,1,dog")
    edit(root, "3-3000-A-0.wav,3,", "3-3000-A-0.wav,7,")
    edit(root, "4-4000-B-0.wav", "4-4000-A-0.wav")
    with pytest.raises(HearlessError) as caught:
        ESC50().clips(root)
    said = str(caught.value)
    for part in (
        "5 problem(s)",
        "1-1000-A-0.wav: no such file",
        "'doge' is no class",
        "target '1'",
        "fold must be one of",
        "4-4000-A-0.wav (start 0 s) is listed 2 times",
    ):
        assert part in said


def test_a_missing_column(root: Path) -> None:
    edit(root, "src_file", "source_file")
    with pytest.raises(HearlessError, match="no column src_file"):
        ESC50().clips(root)


@pytest.mark.data
def test_names_and_targets_fit_the_real_files(shared: Path) -> None:
    with (shared / "data" / "esc50_subset_16k" / "meta.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 840
    assert all(LABELS[int(row["target"])] == row["category"] for row in rows)
    assert all((row["esc10"] == "True") == (row["category"] in ESC10) for row in rows)
