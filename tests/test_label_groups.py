"""Classes mapped by hand: every name is a published one, every class of the data sets is covered."""

from __future__ import annotations

import pytest

from hearless.datasets import sonyc_ust, urbansound8k
from hearless.interfaces import HearlessError
from hearless.labels import label_names
from hearless.labels.groups import GROUPS, members, set_of_size

LABELS = {"urbansound8k": urbansound8k.LABELS, "sonyc_ust": sonyc_ust.LABELS}


@pytest.mark.parametrize("mapping", list(GROUPS))
def test_every_class_is_mapped_to_published_names(mapping: str) -> None:
    assert tuple(GROUPS[mapping]) == LABELS[mapping]
    named = [name for own in GROUPS[mapping].values() for name in own]
    assert set(named) <= set(label_names("audioset"))
    assert all(len(set(own)) == len(own) > 0 for own in GROUPS[mapping].values())


@pytest.mark.parametrize("source", ["audioset", "yamnet"])
@pytest.mark.parametrize("mapping", list(GROUPS))
def test_indices_are_those_of_the_names(mapping: str, source: str) -> None:
    names, found = label_names(source), members(mapping, source)
    for label, mapped in GROUPS[mapping].items():
        assert [names[place] for place in found[label]] == [name for name in mapped if name in names]
        assert found[label]


def test_urban_sounds_classes_share_no_source() -> None:
    places = [place for own in members("urbansound8k", "audioset").values() for place in own]
    assert len(set(places)) == len(places)


def test_labels_come_in_the_order_asked_for_however_they_are_spelled() -> None:
    found = members("urbansound8k", "audioset", ("Car horn", "dog_bark"))
    assert list(found) == ["Car horn", "dog_bark"]
    assert found["Car horn"] == members("urbansound8k", "audioset")["car_horn"]


def test_unknown_labels_are_listed_with_the_known() -> None:
    with pytest.raises(HearlessError, match=r"must be urbansound8k's \(air_conditioner.*got cat, hum; .*train a head"):
        members("urbansound8k", "audioset", ("cat", "siren", "hum"))
    with pytest.raises(HearlessError, match="c9 and 2 more; name"):
        members("urbansound8k", "audioset", tuple(f"c{i}" for i in range(12)))


def test_label_sets_are_told_by_their_size() -> None:
    assert (set_of_size(527), set_of_size(521)) == ("audioset", "yamnet")
    with pytest.raises(HearlessError, match=r"521 \(yamnet\), 527 \(audioset\) classes, got 10"):
        set_of_size(10)
