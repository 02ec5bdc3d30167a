from __future__ import annotations

import re
import runpy
import shutil
import tarfile
from collections import Counter
from pathlib import Path

import pytest

from hearless.datasets.speech_commands_v2 import COUNTS, LABELS, SpeechCommandsV2
from hearless.download import unpack
from hearless.interfaces import HearlessError
from hearless.splits import check_leaks, folds, parts

CORPORA = runpy.run_path(str(Path(__file__).parents[1] / "fakes" / "corpora.py"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    CORPORA["speech_commands_v2"](tmp_path)
    return tmp_path


def edit(root: Path, filename: str, old: str, new: str) -> None:
    text = (root / filename).read_text()
    assert old in text
    (root / filename).write_text(text.replace(old, new, 1))


def test_reads_the_official_layout(root: Path) -> None:
    clips = SpeechCommandsV2().clips(root)
    assert len(clips) == 35 * 4
    first = clips[0]
    assert (first.id, first.labels, first.split) == ("backward/00f0204f_nohash_0.wav", ("backward",), "train")
    assert (first.recording, first.group, first.fold) == ("00f0204f", "00f0204f", None)
    assert first.path == root / "backward" / "00f0204f_nohash_0.wav"
    assert folds(clips) == ("split",)
    assert Counter(clip.split for clip in clips) == {"train": 70, "validation": 35, "test": 35}
    assert [len(side) for side in parts(clips, "split")] == [70, 35, 35]


def test_background_noise_is_left_out(root: Path) -> None:
    assert not [clip.id for clip in SpeechCommandsV2().clips(root) if "background" in clip.id]


def test_35_words_and_the_published_counts() -> None:
    assert len(LABELS) == 35
    assert list(LABELS) == sorted(set(LABELS))
    assert sum(COUNTS.values()) == 105_829


def test_reads_what_the_archive_unpacks_to(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("data")
    with tarfile.open(folder / "speech_commands_v0.02.tar.gz", "w:gz") as archive:
        for path in sorted(root.iterdir()):
            archive.add(path, arcname=f"./{path.name}")
    unpack(folder / "speech_commands_v0.02.tar.gz", folder)
    ids = [clip.id for clip in SpeechCommandsV2().clips(root)]
    assert [clip.id for clip in SpeechCommandsV2().clips(folder)] == ids
    shutil.copytree(root, folder / "aside" / "speech_commands_v0.02")
    assert [clip.id for clip in SpeechCommandsV2().clips(folder / "aside")] == ids


def test_a_speaker_on_two_sides_is_a_leak(root: Path) -> None:
    edit(root, "testing_list.txt", "bed/bbd0bbd0_nohash_0.wav\n", "")
    with pytest.raises(HearlessError, match=r"leak: .*bbd0bbd0 in test, train"):
        check_leaks(SpeechCommandsV2().clips(root))


def test_all_problems_in_one_error(root: Path) -> None:
    (root / "bird" / "b4ea0d9a_nohash_0.wav").unlink()
    (root / "cat" / "00f0204f_nohash_0.wav").rename(root / "cat" / "00f0204f.wav")
    (root / "dog").rename(root / "doge")
    edit(root, "testing_list.txt", "zero/bbd0bbd0_nohash_0.wav", "zero/b4ea0d9a_nohash_0.wav")
    with pytest.raises(HearlessError) as caught:
        SpeechCommandsV2().clips(root)
    said = str(caught.value)
    for part in (
        "9 problem(s); unpack https://",
        "bird/b4ea0d9a_nohash_0.wav: listed, but there is no such file",
        "dog/bbd0bbd0_nohash_0.wav: listed, but",
        "cat/00f0204f.wav: must be named speaker_nohash_take.wav",
        "'doge' is no word",
        "zero/b4ea0d9a_nohash_0.wav: listed twice",
    ):
        assert part in said


@pytest.mark.parametrize("filename", ["validation_list.txt", "testing_list.txt"])
def test_a_missing_list_says_how_to_get_it(root: Path, filename: str) -> None:
    (root / filename).unlink()
    with pytest.raises(HearlessError, match=r"must hold Speech Commands' .*; download https://.*v0\.02\.tar\.gz"):
        SpeechCommandsV2().clips(root)


@pytest.mark.data
def test_words_and_names_fit_the_real_files(shared: Path) -> None:
    files = sorted((shared / "data" / "speech_commands_small_16k" / "audio").rglob("*.flac"))
    assert {file.parent.name for file in files} <= set(LABELS)
    assert all(re.fullmatch(r"[0-9a-f]+_nohash_\d+\.flac", file.name) for file in files)
