"""Which inner maps are paired, at which size, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from hearless.interfaces import HearlessError, Prediction
from hearless.objectives._features import at_one_size, check_bound, check_pairs, paired_maps

SIZES = {"a": (3, 8, 6), "b": (4, 4, 3), "c": (5, 2, 2)}


def says(n_clips: int = 2, **sizes: tuple[int, ...]) -> Prediction:
    rng = torch.Generator().manual_seed(len(sizes))
    maps = {name: torch.randn(n_clips, *size, generator=rng) for name, size in sizes.items()}
    return Prediction(torch.zeros(n_clips, 2), torch.zeros(n_clips, 3), None, maps)


STUDENT, TEACHER = says(**SIZES), says(w=(6, 8, 9), x=(7, 3, 2))


@pytest.mark.parametrize(
    ("maps", "expected"),
    [
        ("", [("b", "w"), ("c", "x")]),
        ("a=x", [("a", "x")]),
        (" c = w ,a=x", [("c", "w"), ("a", "x")]),
    ],
)
def test_maps_are_paired_from_the_last_on_or_as_named(maps: str, expected: list[tuple[str, str]]) -> None:
    pairs = paired_maps("It", maps, STUDENT, TEACHER)
    assert [(ours.shape[1], theirs.shape[1]) for ours, theirs in pairs] == [
        (SIZES[ours][0], TEACHER.maps[theirs].shape[1]) for ours, theirs in expected
    ]
    for (ours, theirs), (name, other) in zip(pairs, expected, strict=True):
        assert torch.equal(ours, STUDENT.maps[name])
        assert torch.equal(theirs, TEACHER.maps[other])


def test_a_teacher_of_more_maps_is_paired_from_its_last() -> None:
    pairs = paired_maps("It", "", TEACHER, STUDENT)
    assert [theirs.shape[1] for _, theirs in pairs] == [4, 5]


def test_one_name_names_both() -> None:
    pairs = paired_maps("It", "c,a", STUDENT, says(c=(1, 1, 1), b=(2, 1, 1), a=(3, 1, 1)))
    assert [theirs.shape[1] for _, theirs in pairs] == [1, 3]


def test_the_teachers_maps_are_cut_from_the_graph() -> None:
    student, teacher = says(a=(2, 3, 3)), says(a=(2, 3, 3))
    for said in (student, teacher):
        said.maps["a"].requires_grad_()
    ((ours, theirs),) = paired_maps("It", "a", student, teacher)
    assert (ours.requires_grad, theirs.requires_grad) == (True, False)


@pytest.mark.parametrize(
    ("maps", "student", "teacher", "said"),
    [
        ("", STUDENT, None, "It needs a teacher and got None"),
        ("", STUDENT, says(), "It: student and teacher must give inner maps, got 3 and 0"),
        ("a,d=w", STUDENT, STUDENT, "It: the student has no map 'd'; it has a, b, c"),
        ("a", STUDENT, TEACHER, "It: the teacher has no map 'a'; it has w, x"),
        ("a", STUDENT, says(), "It: the teacher has no map 'a'; it has none"),
        ("a=t", STUDENT, says(t=(17, 24)), r"It: maps must be \[batch, channel, band, frame\], got \(2, 17, 24\) from"),
        ("a", STUDENT, says(3, **SIZES), r"of the same batch, got \(2, 3, 8, 6\) from the student and \(3, 3, 8, 6\)"),
    ],
)
def test_what_does_not_pair_is_refused(maps: str, student: Prediction, teacher: Any, said: str) -> None:
    with pytest.raises(HearlessError, match=said):
        paired_maps("It", maps, student, teacher)


@pytest.mark.parametrize("maps", [",", "a,", "a,,b", "a=", "=a", "a=b=c", " , b"])
def test_maps_must_be_names_or_pairs_of_names(maps: str) -> None:
    with pytest.raises(HearlessError, match=f"It: maps must name inner maps, comma-joined, .*got {maps!r}"):
        check_pairs("It", maps)
    check_pairs("It", "")
    check_pairs("It", "features.3, stage2=features.5")


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [((8, 6), (4, 3), (4, 3)), ((5, 7), (8, 3), (5, 3)), ((1, 9), (6, 4), (1, 4)), ((3, 2), (3, 5), (3, 2))],
)
def test_the_larger_is_averaged_down_on_each_axis(
    first: tuple[int, int], second: tuple[int, int], expected: tuple[int, int], averaged: Callable[..., Any]
) -> None:
    rng = np.random.default_rng(3)
    maps = [rng.normal(0, 2, (2, channels, *size)) for channels, size in ((3, first), (5, second))]
    for found, one in zip(at_one_size(*map(torch.from_numpy, maps)), maps, strict=True):
        np.testing.assert_allclose(found, averaged(one, *expected), rtol=1e-12, atol=1e-12)


def test_maps_of_one_size_are_left_as_they_are() -> None:
    first, second = STUDENT.maps["a"], says(a=(9, 8, 6)).maps["a"]
    found = at_one_size(first, second)
    assert found[0] is first
    assert found[1] is second


def test_other_widths_than_bound_are_refused() -> None:
    check_bound("It", [3, 4], [3, 4])
    with pytest.raises(HearlessError, match=r"It must be bound before it is called, .* got none for \[3, 4\]"):
        check_bound("It", [], [3, 4])
    with pytest.raises(HearlessError, match=r"got \[3, 5\] for \[3, 4\]; call bind with one example of each"):
        check_bound("It", [3, 5], [3, 4])
