from __future__ import annotations

import runpy
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from hearless.datasets.tau2020_mobile import COUNTS, SETUP, TAU2020Mobile, draw_parts
from hearless.interfaces import HearlessError
from hearless.splits import check_leaks

CORPORA = runpy.run_path(str(Path(__file__).parents[1] / "fakes" / "corpora.py"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    CORPORA["tau2020_mobile"](tmp_path)
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_only_device_a_training_table_first(root: Path) -> None:
    clips = TAU2020Mobile().clips(root)
    assert len(clips) == 16
    assert {clip.device for clip in clips} == {"a"}
    assert clips[0].path == root / "audio" / "park-paris-0-0-a.wav"
    expected = [f"{place}-{segment}-a.wav" for place in ("park-london-6", "tram-london-7") for segment in (0, 1)]
    assert [clip.id for clip in clips[-4:]] == expected
    assert Counter(clip.split for clip in clips) == {"train": 12, "validation": 2, "test": 2}


def test_reads_the_unpacked_archive(tmp_path: Path) -> None:
    CORPORA["tau2020_mobile"](tmp_path / "TAU-urban-acoustic-scenes-2020-mobile-development")
    assert len(TAU2020Mobile().clips(tmp_path)) == 16


def test_the_published_split_by_its_formula() -> None:
    files = [str(n) for n in range(10_545)]
    part = draw_parts(files)
    assert Counter(part.values()) == COUNTS
    first = np.random.RandomState(71).permutation(10_545)
    held = first[:2637]  # a quarter, rounded up
    again = np.random.RandomState(71).permutation(2637)
    assert {n for n, p in part.items() if p == "train"} == {files[i] for i in first[2637:]}
    assert {n for n, p in part.items() if p == "test"} == {files[held[i]] for i in again[:1319]}
    assert {n for n, p in part.items() if p == "validation"} == {files[held[i]] for i in again[1319:]}


def test_locations_are_parted_as_published_and_whole_on_request(root: Path) -> None:
    published, whole = TAU2020Mobile().clips(root), TAU2020Mobile(leak_free=True).clips(root)
    check_leaks(published)
    check_leaks(whole)
    assert {clip.recording for clip in whole} == {f"{'paris' if n < 4 else 'london'}-{n}" for n in range(8)}
    places = {clip.recording.partition(" (")[0] for clip in published}
    assert len(places) == 8 < len({clip.recording for clip in published})
    assert Counter(clip.split for clip in whole) == {"train": 12, "validation": 2, "test": 2}


def test_all_problems_in_one_error(root: Path) -> None:
    (root / "audio" / "park-paris-0-0-a.wav").unlink()
    edit(root / "meta.csv", "audio/tram-paris-1-0-a.wav\ttram", "audio/tram-paris-1-0-a.wav\tpark")
    edit(root / SETUP[0], "audio/park-paris-2-0-a.wav\tpark", "audio/park-paris-2-0-a.wav\tforest")
    with pytest.raises(HearlessError) as caught:
        TAU2020Mobile().clips(root)
    for part in (
        "4 problem(s)",
        "park-paris-0-0-a.wav: no such file",
        "tram-paris-1-0-a.wav: meta.csv does not have it",
        "'forest' is no scene",
        "park-paris-2-0-a.wav: meta.csv does not have it",
    ):
        assert part in str(caught.value)


def test_too_little_to_split_and_a_missing_column(root: Path) -> None:
    with pytest.raises(HearlessError, match="at least 4 files or locations to split, got 3"):
        draw_parts(["a", "b", "c"])
    edit(root / "meta.csv", "identifier", "place")
    with pytest.raises(HearlessError, match="no column identifier"):
        TAU2020Mobile().clips(root)


def test_a_file_in_both_tables(root: Path) -> None:
    with (root / SETUP[1]).open("a") as file:
        file.write("audio/park-paris-0-0-a.wav\tpark\n")
    with pytest.raises(HearlessError, match=r"park-paris-0-0-a.wav .*listed 2 times"):
        TAU2020Mobile().clips(root)
