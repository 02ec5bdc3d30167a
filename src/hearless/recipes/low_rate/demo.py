"""The demo: Table 1 of paper 000 in small, at 1 kHz, on made-up sounds, from random weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hearless.recipes.low_rate import table1
from hearless.recipes.low_rate.settings import Settings
from hearless.study import Row, Study

BACKBONES = ("mn02",)


def study(
    each: Sequence[Settings], *, rates: Sequence[int] = (1000,), folds: tuple[str, ...] = (),
    seeds: tuple[int, ...] = (0,), task: str = "",
) -> Study:  # fmt: skip
    """Return 16 kHz, raw, fine-tuned, BASD and CSSD with fixed α and T, without the paper's numbers (another task)."""
    settings = replace(each[0], epochs=30, batch_size=16, learning_rate=3e-3, stored_draws=10)
    made: list[Row] = [replace(row, published={}) for row in table1.rows(settings, rates, grid=((0.5, 2),))]
    return Study(
        name="low_rate/demo", title="What 1 kHz hears of ten made-up sounds", rows=tuple(made), seeds=seeds,
        folds=folds or ("1",), compare=tuple(pair for rate in rates for pair in table1.pairs_at(rate)),
        task=f"{task} Networks start from random weights; one fold of four.",
    )  # fmt: skip
