"""Counts in sentences."""

from __future__ import annotations

import pytest

from hearless.plural import plural


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((1, "clip"), "1 clip"), ((0, "clip"), "0 clips"), ((2, "clip"), "2 clips"), ((1, "class"), "1 class"),
        ((3, "class"), "3 classes"), ((1, "clip is", "clips are"), "1 clip is"),
        ((4, "clip is", "clips are"), "4 clips are"),
    ],
)  # fmt: skip
def test_one_is_no_plural(words: tuple[int, str], said: str) -> None:
    assert plural(*words) == said
