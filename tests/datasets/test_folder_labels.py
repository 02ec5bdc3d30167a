from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from hearless.datasets.folder_labels import FolderLabels
from hearless.interfaces import HearlessError

noise = runpy.run_path(str(Path(__file__).parents[1] / "fakes" / "corpora.py"))["noise"]


def fill(root: Path, names: list[str]) -> None:
    for seed, name in enumerate(names):
        noise(root / name, seconds=0.05, seed=seed)


def test_folders_are_labels_and_files_below_count(tmp_path: Path) -> None:
    fill(tmp_path, ["cat/1.wav", "cat/old/2.FLAC", "dog/1.ogg", "dog/2.mp3"])
    (tmp_path / "cat" / "notes.txt").write_text("not a sound")
    (tmp_path / ".cache").mkdir()
    clips = FolderLabels(n_folds=2).clips(tmp_path)
    assert [(c.id, c.labels) for c in clips] == [
        ("cat/1.wav", ("cat",)),
        ("cat/old/2.FLAC", ("cat",)),
        ("dog/1.ogg", ("dog",)),
        ("dog/2.mp3", ("dog",)),
    ]
    assert {c.fold for c in clips if c.labels == ("cat",)} == {"1", "2"}


def test_one_stem_in_one_class_is_one_recording(tmp_path: Path) -> None:
    fill(tmp_path, ["cat/1.wav", "cat/1.flac", "cat/2.wav", "dog/1.wav", "dog/2.wav"])
    assert [c.recording for c in FolderLabels(n_folds=2).clips(tmp_path)] == [
        "cat/1",
        "cat/1",
        "cat/2",
        "dog/1",
        "dog/2",
    ]


def test_a_pattern_names_the_recording_across_classes(tmp_path: Path) -> None:
    fill(tmp_path, [f"{word}/{who}_nohash_{n}.wav" for word in ("bed", "cat") for who in "abcd" for n in range(2)])
    clips = FolderLabels(n_folds=2, group_pattern="^(.+?)_nohash").clips(tmp_path)
    assert {c.recording for c in clips} == set("abcd")
    assert all(len({c.fold for c in clips if c.recording == who}) == 1 for who in "abcd")


def test_all_problems_in_one_error(tmp_path: Path) -> None:
    fill(tmp_path, ["cat/x-1.wav", "cat/plain.wav", "stray.wav"])
    (tmp_path / "dog").mkdir()
    with pytest.raises(HearlessError) as caught:
        FolderLabels(group_pattern="^(x)-").clips(tmp_path)
    said = str(caught.value)
    assert "3 problem(s)" in said
    for part in ("stray.wav lies beside", "dog/ holds no sounds", "cat/plain.wav: its name does not match"):
        assert part in said


def test_one_class_only(tmp_path: Path) -> None:
    fill(tmp_path, ["cat/1.wav", "cat/2.wav"])
    with pytest.raises(HearlessError, match=r"one class only \(cat\)"):
        FolderLabels(n_folds=2).clips(tmp_path)


def test_fewer_recordings_than_folds(tmp_path: Path) -> None:
    fill(tmp_path, ["cat/1.wav", "dog/1.wav"])
    with pytest.raises(HearlessError, match="from 2 to the 2 source recordings, got 5"):
        FolderLabels().clips(tmp_path)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"group_pattern": "("}, "must be a regular expression"),
        ({"group_pattern": "x"}, "must have a group"),
        ({"n_folds": 1}, "n_folds must be at least 2"),
    ],
)
def test_wrong_arguments(wrong: dict[str, object], match: str) -> None:
    with pytest.raises(HearlessError, match=match):
        FolderLabels(**wrong)
