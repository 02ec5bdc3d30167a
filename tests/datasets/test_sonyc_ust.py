from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from hearless.datasets.sonyc_ust import COUNTS, LABELS, PRESENCE, SONYCUST, present
from hearless.interfaces import HearlessError
from hearless.splits import folds, parts

CORPORA = runpy.run_path(str(Path(__file__).parents[1] / "fakes" / "corpora.py"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    CORPORA["sonyc_ust"](tmp_path)
    return tmp_path


def edit(root: Path, old: str, new: str) -> None:
    table = root / "annotations.csv"
    text = table.read_text()
    assert old in text
    table.write_text(text.replace(old, new, 1))


def judged(annotator: int, **classes: int) -> dict[str, str]:
    marks = {name.replace("_", "-"): mark for name, mark in classes.items()}
    values = {column: str(marks.get(label, 0)) for label, column in zip(LABELS, PRESENCE, strict=True)}
    return {"annotator_id": str(annotator), **values}


def test_reads_the_official_layout(root: Path) -> None:
    clips = SONYCUST().clips(root)
    assert folds(clips) == ("split",)
    assert [len(side) for side in parts(clips, "split")] == [4, 2, 2]
    assert [clip.labels for clip in clips] == [
        ("engine",), ("music",), ("engine",), ("engine", "music"), ("engine",), ("music",), ("music",), (),
    ]  # fmt: skip
    assert clips[0].path == root / "audio-0" / "01_000000.wav"
    assert clips[1].path == root / "audio-1" / "01_000001.wav"


def test_sensors_are_recordings_and_later_ones_their_own(root: Path) -> None:
    groups = [clip.recording for clip in SONYCUST().clips(root)]
    assert groups[:2] == ["sensor 1"] * 2
    assert groups[6:] == ["sensor 1 (test)", "sensor 4 (test)"]


def test_who_decides() -> None:
    assert present([judged(5, dog=1), judged(6, dog=0)]) == ("dog",)
    assert present([judged(5, dog=1), judged(6, dog=0), judged(7, dog=0)]) == ()
    assert present([judged(5, dog=1), judged(6, dog=-1), judged(7, dog=-1)]) == ("dog",)
    assert present([judged(5, dog=1), judged(6, dog=1), judged(0, human_voice=1)]) == ("human-voice",)
    assert present([judged(-2, dog=-1)]) == ()


def test_published_counts_and_columns() -> None:
    assert sum(COUNTS.values()) == 18510
    assert PRESENCE[1] == "2_machinery-impact_presence"
    assert len(SONYCUST().remotes) == 20


def test_all_problems_in_one_error(root: Path) -> None:
    (root / "audio-0" / "01_000000.wav").unlink()
    edit(root, "train,2,02_000003.wav,7,1,1,", "train,2,02_000003.wav,7,1,2,")
    edit(root, "validate,3,03_000004.wav", "evaluate,3,03_000004.wav")
    edit(root, "train,2,02_000002.wav,9", "train,5,02_000002.wav,9")
    edit(root, "test,4,04_000007.wav,0", "test,4,04_000007.wav,7")
    with pytest.raises(HearlessError) as caught:
        SONYCUST().clips(root)
    for part in (
        "5 problem(s)",
        "01_000000.wav: no such file",
        "presence must be -1, 0 or 1, got '2'",
        "split must be one of train, validate, test, got 'evaluate'",
        "annotated in 2 splits or sensors",
        "04_000007.wav: a test recording must be verified",
    ):
        assert part in str(caught.value)


def test_a_missing_column(root: Path) -> None:
    edit(root, "8_dog_presence", "8_cat_presence")
    with pytest.raises(HearlessError, match="no column 8_dog_presence"):
        SONYCUST().clips(root)
