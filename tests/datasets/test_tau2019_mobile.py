from __future__ import annotations

import runpy
from collections import Counter
from pathlib import Path

import pytest

from hearless.datasets.tau2019_mobile import DEVICES, N_TEST, N_TRAIN, NAME, RANKED_DEVICES, TAU2019Mobile
from hearless.interfaces import HearlessError
from hearless.splits import check_leaks, folds, parts

CORPORA = runpy.run_path(str(Path(__file__).parents[1] / "fakes" / "corpora.py"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    CORPORA["tau2019_mobile"](tmp_path)
    return tmp_path


def edit(root: Path, table: str, old: str, new: str) -> None:
    path = root / NAME / table
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_reads_fold_1_of_the_official_layout(root: Path) -> None:
    clips = TAU2019Mobile().clips(root)
    assert TAU2019Mobile().clips(root / NAME) == clips
    check_leaks(clips)
    assert folds(clips) == ("split",)
    sides = parts(clips, "split")
    assert [len(side) for side in sides] == [6, 4, 0]
    assert Counter(clip.device for clip in sides.train) == {"a": 2, "b": 2, "c": 2}
    assert Counter(clip.device for clip in sides.test) == {"a": 2, "b": 2}
    first = clips[0]
    assert (first.id, first.labels, first.recording) == ("bus-lyon-0-100-a.wav", ("bus",), "lyon-0")
    assert first.path == root / NAME / "audio" / "bus-lyon-0-100-a.wav"


def test_clips_of_no_part_are_left_out(root: Path) -> None:
    assert not [clip for clip in TAU2019Mobile().clips(root) if "prague" in clip.id]
    assert "prague" in (root / NAME / "meta.csv").read_text()


def test_what_is_published() -> None:
    dataset = TAU2019Mobile()
    assert dataset.labels is not None
    assert len(dataset.labels) == 10
    assert set(RANKED_DEVICES) < set(DEVICES)
    assert N_TRAIN + N_TEST + 1030 == 14_400 + 2 * 1080  # the segments of all devices
    assert len(dataset.remotes) == 13
    assert len({remote.checksum for remote in dataset.remotes}) == 13
    assert all(len(str(remote.checksum)) == len("md5:") + 32 for remote in dataset.remotes)
    assert all(remote.unpack and remote.filename in remote.url for remote in dataset.remotes)
    assert "non-commercial" in dataset.licence


def test_the_whole_set_can_be_asked_for(root: Path) -> None:
    with pytest.raises(HearlessError, match=r"10265 training and 5265 test clips, got 6 and 4"):
        TAU2019Mobile(complete=True).clips(root)


def test_all_problems_in_one_error(root: Path) -> None:
    (root / NAME / "audio" / "bus-lyon-0-100-a.wav").unlink()
    edit(root, "evaluation_setup/fold1_train.csv", "bus-lyon-0-100-b.wav\tbus", "none.wav\tbus")
    edit(root, "evaluation_setup/fold1_train.csv", "-c.wav\tbus", "-c.wav\tpark")
    edit(root, "meta.csv", "park\tlyon-10\ta", "park\tlyon-10\ts1")
    edit(root, "meta.csv", "park\tlyon-10\tb", "park\t\tb")
    with pytest.raises(HearlessError) as caught:
        TAU2019Mobile().clips(root)
    said = str(caught.value)
    for part in ("5 problem(s)", "no such file in audio/", "not in meta.csv", "scene 'park' is no class, or not",
                 "device 's1' is none of TAU's", "no identifier"):  # fmt: skip
        assert part in said


def test_a_clip_in_a_part_twice_and_a_missing_column(root: Path) -> None:
    edit(root, "evaluation_setup/fold1_evaluate.csv", "filename\tscene_label\n",
         "filename\tscene_label\naudio/bus-milan-1-101-a.wav\tbus\n")  # fmt: skip
    with pytest.raises(HearlessError, match=r"bus-milan-1-101-a.wav .*listed 2 times"):
        TAU2019Mobile().clips(root)
    edit(root, "meta.csv", "identifier", "place")
    with pytest.raises(HearlessError, match="no column identifier"):
        TAU2019Mobile().clips(root)


def test_a_location_on_both_sides_is_two_recordings_or_left_out_of_training(root: Path) -> None:
    edit(root, "meta.csv", "bus\tmilan-1\ta", "bus\tlyon-0\ta")
    sides = parts(TAU2019Mobile().clips(root), "split")
    assert [len(side) for side in sides] == [6, 4, 0]
    assert [c.recording for c in sides.test if "lyon" in c.recording] == ["lyon-0 (test)"]
    assert {c.recording for c in sides.train} == {"lyon-0 (train)", "lyon-10"}
    edit(root, "meta.csv", "park\tmilan-11\ta", "park\tprague-12\ta")
    clips = TAU2019Mobile(leak_free=True).clips(root)
    assert {c.recording for c in clips if c.split == "train"} == {"lyon-10"}
    assert len([c for c in clips if c.split == "test"]) == 4
