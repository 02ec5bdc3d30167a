from __future__ import annotations

import runpy
from collections import Counter
from pathlib import Path

import pytest

from hearless.captures.simulated_device import DEVICES as SIMULATED
from hearless.datasets.csv_labels import CsvLabels
from hearless.datasets.esc50 import ESC50
from hearless.datasets.simulated_devices import DEVICES, SEEN, UNSEEN, SimulatedDevices
from hearless.interfaces import HearlessError
from hearless.spec import spec, spec_from_json
from hearless.splits import check_leaks, parts

CORPORA = runpy.run_path(str(Path(__file__).parents[1] / "fakes" / "corpora.py"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes, 100 recordings of one 2.5 s clip each, in folds of 50, 48 and 2."""
    rows = [f"x.wav,{i * 2.5},2.5,{'ab'[i % 2]},{'1' if i < 50 else '2' if i < 98 else '3'},r{i}" for i in range(100)]
    CORPORA["noise"](tmp_path / "audio" / "x.wav", seconds=250.0, rate_hz=500)
    CORPORA["table"](tmp_path / "meta.csv", "path,start_s,duration_s,label,fold,group\n" + "\n".join(rows) + "\n")
    return tmp_path


def made(**more: object) -> SimulatedDevices:
    return SimulatedDevices(dataset=spec(CsvLabels), **more)


def test_five_in_a_hundred_train_on_each_seen_device_and_tests_hear_all(root: Path) -> None:
    sides = parts(made(fold="1").clips(root), "split")
    assert Counter(clip.device for clip in sides.train) == {"a": 44, "s1": 2, "s2": 2, "s3": 2}
    assert Counter(clip.device for clip in sides.test) == dict.fromkeys(DEVICES, 50)
    by_device = {d: {(c.path, c.start_s) for c in sides.test if c.device == d} for d in DEVICES}
    assert len({frozenset(heard) for heard in by_device.values()}) == 1
    assert not {clip.device for clip in sides.train} & set(UNSEEN)


def test_the_capture_simulates_just_these() -> None:
    assert tuple(SIMULATED) == SEEN + UNSEEN


def test_pieces_are_whole_and_rests_are_left_out(root: Path) -> None:
    sides = parts(made(fold="1", piece_s=1.0, share=0.1).clips(root), "split")
    assert len(sides.train) == 100
    assert Counter(clip.device for clip in sides.train)["s1"] == 10
    assert {clip.duration_s for clip in sides.train + sides.test} == {1.0}
    assert sorted(c.start_s for c in sides.test if c.device == "a")[:4] == [0.0, 1.0, 2.5, 3.5]
    assert len({clip.recording for clip in sides.train}) == 50
    with pytest.raises(HearlessError, match=r"piece_s must leave pieces to train and to test, got 3\.0"):
        made(fold="1", piece_s=3.0).clips(root)


def test_some_folds_only_can_train(root: Path) -> None:
    sides = parts(made(fold="1", training_folds="2").clips(root), "split")
    assert len(sides.train) == 48
    with pytest.raises(HearlessError, match="training_folds must be folds other than 1, got 7"):
        made(fold="1", training_folds="2,7").clips(root)


def test_the_assignment_follows_seed_and_ids(root: Path) -> None:
    def devices(seed: int) -> dict[str, str | None]:
        return {c.id.rpartition("@")[0]: c.device for c in made(share=0.2, seed=seed).clips(root) if c.split == "train"}

    assert devices(0) == devices(0)
    assert devices(0) != devices(1)


def test_recordings_stay_on_one_side(root: Path) -> None:
    clips = made().clips(root)
    check_leaks(clips)
    assert len({clip.id for clip in clips}) == len(clips)


def test_it_says_what_the_data_set_says_and_survives_json(tmp_path: Path) -> None:
    inner, outer = ESC50(), SimulatedDevices(dataset=spec(ESC50))
    assert (outer.labels, outer.licence, outer.remotes) == (inner.labels, inner.licence, inner.remotes)
    named = spec(SimulatedDevices, dataset=spec(ESC50, leak_free=True), fold="5")
    assert spec_from_json(named.to_json()) == named
    CORPORA["esc50"](tmp_path)
    assert len(parts(named.build().clips(tmp_path), "split").test) == 4 * 7


def test_wrong_arguments() -> None:
    with pytest.raises(HearlessError, match="dataset must be a data set's spec, got 'ESC50'"):
        SimulatedDevices(dataset="ESC50")
    with pytest.raises(HearlessError, match=r"share must lie in 0\.\.1/3 for three devices, got 0\.4"):
        made(share=0.4)
    with pytest.raises(HearlessError, match=r"piece_s must be above 0 s and finite, got 0\.0"):
        made(piece_s=0.0)
