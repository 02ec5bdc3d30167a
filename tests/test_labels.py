"""Label sets: the public AudioSet list, in index order."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from hearless.interfaces import HearlessError
from hearless.labels import known_sets, label_names


def test_audioset_has_527_different_names() -> None:
    names = label_names("audioset")
    assert len(names) == len(set(names)) == 527
    assert names[0] == "Speech"
    assert names[74] == "Dog"
    assert all(name == name.strip() and name for name in names)


@pytest.mark.data
def test_audioset_follows_the_public_list(shared: Path) -> None:
    with (shared / "weights" / "mn04_audioset" / "audioset_class_labels.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert label_names("audioset") == tuple(row["display_name"] for row in sorted(rows, key=lambda r: int(r["index"])))


def test_unknown_set_lists_the_known() -> None:
    assert "audioset" in known_sets()
    with pytest.raises(HearlessError, match=r"got 'nothing'; known: .*audioset"):
        label_names("nothing")


def test_names_are_no_paths() -> None:
    with pytest.raises(HearlessError, match="known"):
        label_names("../labels/audioset")


def test_yamnet_has_521_names() -> None:
    names = label_names("yamnet")
    assert len(names) == len(set(names)) == 521
    assert (names[0], names[494], names[520]) == ("Speech", "Silence", "Field recording")


@pytest.mark.data
def test_yamnet_follows_the_public_list(shared: Path) -> None:
    with (shared / "weights" / "yamnet_audioset" / "yamnet_class_map.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert label_names("yamnet") == tuple(row["display_name"] for row in sorted(rows, key=lambda r: int(r["index"])))
