"""A study's row after its runs, and two rows on the same clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearless import metrics
from hearless.calibration import Calibration
from hearless.interfaces import HearlessError
from hearless.run import Predictions
from hearless.statistics import Paired, mcnemar, paired_bootstrap, paired_metric
from hearless.study import Row


@dataclass
class Evaluated:
    """A study's row after its runs: predictions by (fold, seed), the option chosen per fold, seconds, or a hole.

    ``rules`` are the runs' calibrations by (fold, seed), and ``noises`` the share of noise that each gives a class;
    where they are left out, nothing is said of how far scores can be trusted.  ``costs`` are the recipe's.
    ``runs`` are the folders, below that of all runs, of those whose own predictions are judged.
    """

    row: Row
    found: dict[tuple[str, int], Predictions] = field(default_factory=dict)
    choices: dict[str, int] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    hole: str = ""
    rules: dict[tuple[str, int], Calibration] = field(default_factory=dict)
    noises: dict[tuple[str, int], float] = field(default_factory=dict)
    costs: dict[str, float] = field(default_factory=dict)
    runs: list[str] = field(default_factory=list)

    def add(self, fold: str, seed: int, predictions: Predictions, seconds: float) -> None:
        """Take one run's test predictions."""
        self.found[fold, seed] = predictions
        self.seconds.append(seconds)

    @property
    def seeds(self) -> list[int]:
        """The seeds that were run."""
        return sorted({seed for _, seed in self.found})

    def pooled(self, folds: Sequence[str]) -> Predictions:
        """Return the predictions of these folds one after the other, logits ``[seed, clip, class]``.

        Where several epochs of a seed are judged, they stand one after the other like seeds.
        """
        first = [self.found[fold, self.seeds[0]] for fold in folds]
        logits = [np.concatenate([self.found[fold, seed].logits for fold in folds], -2) for seed in self.seeds]
        both = [[self.found[fold, seed] for fold in folds] for seed in self.seeds] if self.beside_teacher else []
        return Predictions(
            np.concatenate([p.ids for p in first]), np.concatenate([p.true for p in first]),
            np.concatenate([one.reshape(-1, *one.shape[-2:]) for one in logits]),
            np.concatenate([p.groups for p in first]),
            np.concatenate([p.reference for p in first if p.reference is not None]) if both else None,
            np.stack([np.concatenate([p.distance for p in run if p.distance is not None]) for run in both])
            if both else None,
            _joined([p.devices for p in first]), _joined([p.seen for p in first]),
        )  # fmt: skip

    @property
    def beside_teacher(self) -> bool:
        """True where agreement with a teacher is judged."""
        return any(found.reference is not None for found in self.found.values())

    @property
    def folds(self) -> list[str]:
        """The folds that every seed has."""
        names = dict.fromkeys(fold for fold, _ in self.found)
        return [fold for fold in names if all((fold, seed) in self.found for seed in self.seeds)]


def _joined(parts: Sequence[NDArray[Any] | None]) -> NDArray[Any] | None:
    """Return arrays one after the other, None where one is missing."""
    found = [part for part in parts if part is not None]
    return np.concatenate(found) if found and len(found) == len(parts) else None


def correctness(pooled: Predictions) -> NDArray[np.float64]:
    """Return 1 where a clip is right, ``[seed, clip]``."""
    right: NDArray[np.bool_] = pooled.logits.argmax(-1) == pooled.true.argmax(-1)
    return right.astype(np.float64)


def paired_test(a: Evaluated, b: Evaluated, *, multi_label: bool) -> tuple[Paired, float | None]:
    """Compare two rows on the folds and seeds that both have: paired bootstrap over recordings, and McNemar's p.

    Raises:
        HearlessError: they share no fold or seed, or were not tested on the same clips.
    """
    first, second = on_same_clips(a, b)
    if multi_label:
        metric = metrics.mean_average_precision
        return paired_metric(metric, first.true, first.logits, second.logits, first.groups, n_resamples=500), None
    right_a, right_b = correctness(first), correctness(second)
    return paired_bootstrap(right_a, right_b, first.groups), mcnemar(right_a, right_b)


def on_same_clips(a: Evaluated, b: Evaluated) -> tuple[Predictions, Predictions]:
    """Return two rows' predictions of the folds and seeds that both have, one fold after the other.

    Raises:
        HearlessError: they share no fold or seed, or were not tested on the same clips.
    """
    folds, seeds = shared(a, b)
    if not folds or not seeds:
        raise HearlessError(f"{a.row.label} and {b.row.label} must share a fold and a seed to be compared.")
    first, second = (
        replace(one, found={(f, s): one.found[f, s] for f in folds for s in seeds}).pooled(folds) for one in (a, b)
    )
    if not np.array_equal(first.ids, second.ids) or not np.array_equal(first.true, second.true):
        raise HearlessError(
            f"{a.row.label} and {b.row.label} must be tested on the same clips, got {len(first.ids)} and "
            f"{len(second.ids)} that are not the same; compare runs of one table."
        )
    return first, second


def shared(a: Evaluated, b: Evaluated) -> tuple[list[str], list[int]]:
    """Return the folds and seeds that both rows have."""
    return [fold for fold in a.folds if fold in b.folds], [seed for seed in a.seeds if seed in b.seeds]
