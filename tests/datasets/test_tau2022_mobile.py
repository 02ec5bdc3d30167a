from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from hearless.datasets.tau2022_mobile import LABELS, NAME, SEEN_DEVICES, UNSEEN_DEVICES, TAU2022Mobile
from hearless.interfaces import HearlessError
from hearless.splits import check_leaks, folds, parts

CORPORA = runpy.run_path(str(Path(__file__).parents[1] / "fakes" / "corpora.py"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    CORPORA["tau2022_mobile"](tmp_path)
    return tmp_path


def edit(root: Path, table: str, old: str, new: str) -> None:
    path = root / NAME / table
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_reads_fold_1_of_the_official_layout(root: Path) -> None:
    clips = TAU2022Mobile().clips(root)
    assert TAU2022Mobile().clips(root / NAME) == clips
    check_leaks(clips)
    assert folds(clips) == ("split",)
    assert [len(side) for side in parts(clips, "split")] == [6, 4, 0]
    assert {clip.device for clip in clips if clip.split == "train"} == {"a", "b", "s1"}
    assert {clip.device for clip in clips if clip.split == "test"} == {"a", "s4"}
    first = clips[0]
    assert (first.id, first.labels, first.recording) == ("airport-lisbon-0-0-0-a.wav", ("airport",), "lisbon-0")


def test_clips_of_no_part_are_left_out(root: Path) -> None:
    assert not [clip for clip in TAU2022Mobile().clips(root) if "paris" in clip.id]
    assert "paris" in (root / NAME / "meta.csv").read_text()


def test_what_is_published() -> None:
    dataset = TAU2022Mobile()
    assert len(LABELS) == 10
    assert len(SEEN_DEVICES + UNSEEN_DEVICES) == 9
    assert len(dataset.remotes) == 17
    assert len({remote.checksum for remote in dataset.remotes}) == 17
    assert all(remote.unpack and remote.filename in remote.url for remote in dataset.remotes)
    assert "non-commercial" in dataset.licence


def test_the_whole_set_can_be_asked_for(root: Path) -> None:
    with pytest.raises(HearlessError, match=r"139620 training and 29680 test clips, got 6 and 4"):
        TAU2022Mobile(complete=True).clips(root)


def test_all_problems_in_one_error(root: Path) -> None:
    (root / NAME / "audio" / "airport-lisbon-0-0-0-a.wav").unlink()
    edit(root, "evaluation_setup/fold1_train.csv", "airport-lisbon-0-0-0-b.wav\tairport", "none.wav\tairport")
    edit(root, "evaluation_setup/fold1_train.csv", "-s1.wav\tairport", "-s1.wav\tbus")
    edit(root, "meta.csv", "tram\tlisbon-10\ta", "tram\tlisbon-10\tz")
    edit(root, "meta.csv", "tram\tlisbon-10\tb", "tram\t\tb")
    with pytest.raises(HearlessError) as caught:
        TAU2022Mobile().clips(root)
    said = str(caught.value)
    for part in ("5 problem(s)", "no such file in audio/", "not in meta.csv", "scene 'bus' is no class, or not",
                 "device 'z' is none of TAU's", "no identifier"):  # fmt: skip
        assert part in said


def test_a_location_on_both_sides_is_two_recordings_or_left_out_of_training(root: Path) -> None:
    edit(root, "meta.csv", "airport\tvienna-1\ta", "airport\tlisbon-0\ta")
    sides = parts(TAU2022Mobile().clips(root), "split")
    assert [len(side) for side in sides] == [6, 4, 0]
    assert [c.recording for c in sides.test if "lisbon" in c.recording] == ["lisbon-0 (test)"]
    assert {c.recording for c in sides.train} == {"lisbon-0 (train)", "lisbon-10"}
    edit(root, "meta.csv", "tram\tvienna-11\ta", "tram\tparis-12\ta")
    clips = TAU2022Mobile(leak_free=True).clips(root)
    assert {c.recording for c in clips if c.split == "train"} == {"lisbon-10"}
    assert len([c for c in clips if c.split == "test"]) == 4


def test_a_missing_column(root: Path) -> None:
    edit(root, "meta.csv", "identifier", "place")
    with pytest.raises(HearlessError, match="no column identifier"):
        TAU2022Mobile().clips(root)
