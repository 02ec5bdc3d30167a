from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hearless.interfaces import Clip, HearlessError
from hearless.splits import SPLIT, check_leaks, draw_folds, folds, hold_out, natural, parts, share, split_name


def clip(name: str, *labels: str, **more: str) -> Clip:
    return Clip(id=name, path=Path(f"{name}.wav"), labels=labels, **more)


def corpus(n_per_class: int, n_classes: int, per_recording: int = 1) -> list[Clip]:
    """Clips whose recordings hold one class each."""
    return [
        clip(f"{label}-{i}", label, recording=f"{label}-r{i // per_recording}")
        for label in "abcdefghij"[:n_classes]
        for i in range(n_per_class)
    ]


@st.composite
def corpora(draw: st.DrawFn) -> list[Clip]:
    """Up to 40 clips of 2 to 4 labels (one or several a clip) and 4 to 12 recordings, both in two or more."""
    n = draw(st.integers(8, 40))
    n_groups = draw(st.integers(4, 12))
    sizes = st.lists(st.sampled_from("abcd"), min_size=1, max_size=2, unique=True)
    labels = [("a",), ("b",), *[tuple(draw(sizes)) for _ in range(n - 2)]]
    return [clip(f"c{i}", *own, recording=f"r{i % n_groups}") for i, own in enumerate(labels)]


@settings(deadline=None)
@given(clips=corpora(), n=st.integers(2, 4), seed=st.integers(0, 9), shuffle=st.randoms(use_true_random=False))
def test_drawn_folds_keep_the_laws(clips: list[Clip], n: int, seed: int, shuffle: object) -> None:
    drawn = draw_folds(clips, n, seed)
    check_leaks(drawn)
    assert [replace(c, fold=None) for c in drawn] == clips
    assert folds(drawn) == tuple(str(i + 1) for i in range(n))
    other = list(clips)
    shuffle.shuffle(other)
    assert {c.id: c.fold for c in draw_folds(other, n, seed)} == {c.id: c.fold for c in drawn}


@settings(deadline=None)
@given(
    clips=corpora(),
    fraction=st.floats(0.2, 0.6),
    seed=st.integers(0, 9),
    shuffle=st.randoms(use_true_random=False),
)
def test_hold_out_keeps_the_laws(clips: list[Clip], fraction: float, seed: int, shuffle: object) -> None:
    try:
        train, held = hold_out(clips, fraction, seed)
    except HearlessError as error:
        assume("last recording" not in str(error))
        raise
    assert Counter([c.id for c in train + held]) == Counter(c.id for c in clips)
    assert not {c.group for c in train} & {c.group for c in held}
    assert {x for c in train for x in c.labels} == {x for c in clips for x in c.labels}
    other = list(clips)
    shuffle.shuffle(other)
    assert {c.id for c in hold_out(other, fraction, seed)[1]} == {c.id for c in held}


@settings(deadline=None)
@given(clips=corpora(), n=st.integers(2, 4))
def test_parts_of_all_folds_test_every_clip_once(clips: list[Clip], n: int) -> None:
    drawn = draw_folds(clips, n, 0)
    tested: list[str] = []
    for fold in folds(drawn):
        try:
            train, test, validation = parts(drawn, fold)
        except HearlessError as error:
            assume("every tested class must be in the training part" not in str(error))
            raise
        assert not {c.group for c in train} & {c.group for c in test}
        assert (len(train) + len(test), validation) == (len(clips), [])
        tested += [c.id for c in test]
    assert sorted(tested) == sorted(c.id for c in clips)


@pytest.mark.parametrize("per_recording", [1, 2, 4])
def test_drawn_folds_are_stratified(per_recording: int) -> None:
    drawn = draw_folds(corpus(40, 10, per_recording), 5, 0)
    share = Counter((c.labels[0], c.fold) for c in drawn)
    assert set(share.values()) == {8}


def test_hold_out_is_stratified_and_near_its_fraction() -> None:
    train, held = hold_out(corpus(40, 10, 2), 0.25, 3)
    assert (len(train), len(held)) == (300, 100)
    assert set(Counter(c.labels[0] for c in held).values()) == {10}


def test_hold_out_of_uneven_recordings_is_near_its_fraction() -> None:
    sizes = np.random.default_rng(0).integers(1, 9, 120)
    clips = [clip(f"{g}-{i}", "ab"[g % 2], recording=str(g)) for g, size in enumerate(sizes) for i in range(size)]
    shares = [len(hold_out(clips, 0.25, seed)[1]) / len(clips) for seed in range(5)]
    assert all(abs(share - 0.25) < 0.03 for share in shares)


def test_seeds_differ_and_repeat() -> None:
    clips = corpus(20, 3, 2)
    draws = [[c.fold for c in draw_folds(clips, 4, seed)] for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]
    held = [[c.id for c in hold_out(clips, 0.25, seed)[1]] for seed in (0, 0, 1)]
    assert held[0] == held[1] != held[2]


def test_small_classes_are_held_out_together_without_losing_one() -> None:
    train, held = hold_out(corpus(2, 10), 0.25, 0)
    assert len(held) == 5
    assert len({c.labels for c in train}) == 10


def test_split_words() -> None:
    words = ["Training", "train", "val", "VALID", "dev", "validation", "test", "testing", "eval"]
    assert [split_name(w) for w in words] == ["train"] * 2 + ["validation"] * 4 + ["test"] * 3
    assert split_name("test-clean") is None


def test_natural_order() -> None:
    assert sorted(["fold10", "fold2", "b", "10", "9"], key=natural) == ["9", "10", "b", "fold2", "fold10"]


def test_splits_are_one_fold_and_validation_stays_apart() -> None:
    clips = [clip(f"{s}{x}", x, split=s) for s in ("train", "validation", "test") for x in "ab"]
    assert folds(clips) == (SPLIT,) == ("split",)
    sides = parts(clips, SPLIT)
    assert [[c.id for c in side] for side in sides] == [
        ["traina", "trainb"],
        ["testa", "testb"],
        ["validationa", "validationb"],
    ]


def test_a_leak_names_the_recordings() -> None:
    clips = [clip(f"{g}{f}", "ab"[f], fold=str(f), recording=f"dog{g}") for g in range(7) for f in range(2)]
    clips.append(clip("fine", "a", fold="1"))
    with pytest.raises(HearlessError, match=r"7 of 8 do not: dog0 in 0, 1; dog1 in 0, 1; .*dog4 in 0, 1 …"):
        check_leaks(clips)
    with pytest.raises(HearlessError, match="leak: a source recording"):
        parts(clips, "1")


def test_a_leak_over_splits() -> None:
    clips = [clip("x", "a", split="train", recording="same"), clip("y", "b", split="test", recording="same")]
    with pytest.raises(HearlessError, match="same in test, train"):
        check_leaks(clips)


def test_a_class_absent_from_training_is_named() -> None:
    clips = [clip("1", "a", fold="1"), clip("2", "b", fold="1"), clip("3", "a", fold="2"), clip("4", "owl", fold="2")]
    with pytest.raises(HearlessError, match=r"fold 2: every tested class .* but owl is not"):
        parts(clips, "2")


def test_a_class_only_validated_is_named() -> None:
    clips = [clip(f"{s}{x}", x, split=s) for s in ("train", "test") for x in "ab"]
    with pytest.raises(HearlessError, match="owl is not"):
        parts([*clips, clip("v", "owl", split="validation")], SPLIT)


def test_wrong_folds() -> None:
    clips = [clip("1", "a", fold="1"), clip("2", "b", fold="2")]
    with pytest.raises(HearlessError, match=r"fold must be one of 1, 2, got '3'"):
        parts(clips, "3")
    with pytest.raises(HearlessError, match="of 3 clips 2 have a fold and 1 a split only"):
        folds([*clips, clip("3", "a", split="test")])
    with pytest.raises(HearlessError, match="of 0 clips"):
        folds([])
    with pytest.raises(HearlessError, match="the test part must hold clips, got none"):
        parts([clip("1", "a", split="train"), clip("2", "b", split="train")], SPLIT)


def test_one_class_only() -> None:
    for refused in (lambda c: draw_folds(c, 2, 0), lambda c: hold_out(c, 0.5, 0)):
        with pytest.raises(HearlessError, match=r"at least two classes, got one only \(a\)"):
            refused(corpus(4, 1))
    with pytest.raises(HearlessError, match="at least two classes"):
        parts([clip("1", "a", fold="1"), clip("2", "a", fold="2")], "1")


def test_too_few_recordings() -> None:
    with pytest.raises(HearlessError, match="from 2 to the 2 source recordings, got 3"):
        draw_folds(corpus(4, 2, 4), 3, 0)
    with pytest.raises(HearlessError, match="from 2 to the 8 source recordings, got 1"):
        draw_folds(corpus(4, 2), 1, 0)
    with pytest.raises(HearlessError, match="holds out none"):
        hold_out(corpus(4, 2, 4), 0.25, 0)
    for fraction in (0.0, 1.0, float("nan")):
        with pytest.raises(HearlessError, match="fraction must lie between 0 and 1"):
            hold_out(corpus(4, 2), fraction, 0)


@settings(deadline=None)
@given(
    clips=corpora(),
    fractions=st.tuples(st.floats(0.01, 1.0), st.floats(0.01, 1.0)),
    shuffle=st.randoms(use_true_random=False),
)
def test_a_share_keeps_the_laws(clips: list[Clip], fractions: tuple[float, float], shuffle: object) -> None:
    small, large = (share(clips, fraction) for fraction in sorted(fractions))
    assert {c.id for c in small} <= {c.id for c in large}
    assert large == [c for c in clips if c in large]
    assert not {c.group for c in large} & {c.group for c in clips if c not in large}
    other = list(clips)
    shuffle.shuffle(other)
    assert {c.id for c in share(other, max(fractions))} == {c.id for c in large}
    assert share(clips, 1.0) == clips


@pytest.mark.parametrize("fraction", [0.125, 0.25, 0.5, 0.75])
def test_a_share_is_as_large_as_asked_and_even_over_labels(fraction: float) -> None:
    clips = corpus(48, 4, per_recording=3)
    kept = Counter(c.labels[0] for c in share(clips, fraction))
    assert dict(kept) == dict.fromkeys("abcd", 48 * fraction)


def test_a_share_counts_clips_not_recordings() -> None:
    sizes = {"r0": 30, "r1": 1, "r2": 1, "r3": 1, "r4": 30, "r5": 1}
    clips = [clip(f"{name}-{i}", "a", recording=name) for name, n in sizes.items() for i in range(n)]
    assert 20 <= len(share(clips, 0.5)) <= 44


def test_the_smallest_share_still_has_every_label() -> None:
    assert {c.labels[0] for c in share(corpus(20, 5), 0.001)} == set("abcde")
    unlabelled = [clip(f"c{i}") for i in range(10)]
    assert len(share(unlabelled, 0.3)) == 3


def test_a_clip_of_several_labels_stands_with_its_rarest() -> None:
    clips = [clip(f"c{i}", "common") for i in range(20)] + [clip(f"d{i}", "common", "rare") for i in range(2)]
    assert sum("rare" in c.labels for c in share(clips, 0.1)) == 1


@pytest.mark.parametrize("fraction", [0.0, -0.5, 1.5])
def test_a_share_outside_0_to_1_is_refused(fraction: float) -> None:
    with pytest.raises(HearlessError, match=r"fraction must lie in 0\.\.1, 0 excluded"):
        share(corpus(4, 2), fraction)
