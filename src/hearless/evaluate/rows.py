"""One row of a table: measures with 95 % intervals that resample source recordings, per fold, class and device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearless import metrics
from hearless.evaluate.evaluated import Evaluated, correctness
from hearless.evaluate.measuring import CHOSEN_BY, SEEN, TRAINING_TIME, UNSEEN, agreement
from hearless.evaluate.trusting import trust
from hearless.report import SPREAD
from hearless.report import Row as ReportRow
from hearless.run import Predictions
from hearless.splits import natural
from hearless.statistics import Measure, interval, mean_interval


def _first_measure(pooled: Predictions, multi_label: bool) -> Measure:
    if multi_label:
        return interval(metrics.mean_average_precision, pooled.true, pooled.logits, pooled.groups, n_resamples=500)
    return mean_interval(correctness(pooled), pooled.groups, share=True)


def of_clips(pooled: Predictions, chosen: NDArray[np.bool_]) -> Predictions:
    """Return the predictions ``[seed, clip, class]`` of some clips, as far as one measure needs them."""
    return Predictions(
        pooled.ids[chosen], pooled.true[chosen], pooled.logits[:, chosen], pooled.groups[chosen]
    )  # fmt: skip


def per_device(pooled: Predictions, multi_label: bool) -> dict[str, Measure]:
    """Return the first measure on each recording device; none where they are not told."""
    if pooled.devices is None:
        return {}
    names = sorted({str(name) for name in pooled.devices if name}, key=natural)
    return {name: _first_measure(of_clips(pooled, pooled.devices == name), multi_label) for name in names}


def _seen_and_unseen(pooled: Predictions, multi_label: bool) -> dict[str, Measure]:
    """Return the first measure on the devices that were trained on and on those that were not."""
    if pooled.seen is None or pooled.reference is not None:
        return {}
    sides = {SEEN: pooled.seen, UNSEEN: ~pooled.seen}
    return {name: _first_measure(of_clips(pooled, side), multi_label) for name, side in sides.items() if side.any()}


def spread(pooled: Predictions, multi_label: bool, n_seeds: int | None = None) -> Measure:
    """Return the standard deviation of the first measure over seeds (n - 1), as papers give it behind ±.

    ``n_seeds``: how many seeds the logits ``[seed, clip, class]`` are of, where epochs of one seed stand side by side.
    """
    if multi_label:
        each = [metrics.mean_average_precision(pooled.true, run) for run in pooled.logits]
    else:
        each = correctness(pooled).mean(1).tolist()
    seeds = np.reshape(each, (n_seeds or len(each), -1)).mean(1)
    return Measure(float(np.std(seeds, ddof=1)))


def _row_measures(pooled: Predictions, multi_label: bool, n_seeds: int) -> dict[str, Measure]:
    if pooled.reference is not None:
        per_clip = agreement(pooled)
        if np.isnan(per_clip["mel_mse"]).any():  # the classifiers see features of different axes
            del per_clip["mel_mse"]
        return {name: mean_interval(values, pooled.groups) for name, values in per_clip.items()}
    first = {CHOSEN_BY[multi_label][0]: _first_measure(pooled, multi_label)}
    if n_seeds > 1:
        first[SPREAD] = spread(pooled, multi_label, n_seeds)
    first |= _seen_and_unseen(pooled, multi_label)
    if multi_label:
        return first
    true = pooled.true.argmax(1)
    return first | {
        "macro_accuracy": interval(metrics.macro_accuracy, true, pooled.logits, pooled.groups, n_resamples=500),
        "macro_f1": interval(metrics.macro_f1, true, pooled.logits, pooled.groups, n_resamples=500),
    }


def _trust_measures(done: Evaluated, multi_label: bool) -> dict[str, Measure]:
    """Return the means over runs of `trust`, temperature and rule; nothing where a run has no calibration."""
    places = [(fold, seed) for fold in done.folds for seed in done.seeds]
    if not places or any(place not in done.rules for place in places):
        return {}
    each = [
        {
            **trust(done.found[place], done.rules[place], multi_label=multi_label),
            "temperature": done.rules[place].temperature,
            **({} if multi_label else {"none_below": done.rules[place].none_below}),
            **({"noise_named": done.noises[place]} if set(places) <= set(done.noises) else {}),
        }
        for place in places
    ]  # fmt: skip
    return {name: Measure(float(np.mean([one[name] for one in each]))) for name in each[0]}


def _per_class(pooled: Predictions, labels: Sequence[str], multi_label: bool) -> dict[str, Measure]:
    if multi_label:
        scores = np.mean([metrics.average_precision(pooled.true, run) for run in pooled.logits], axis=0)
        return {label: Measure(float(v)) for label, v in zip(labels, scores, strict=True)}
    right, true = correctness(pooled), pooled.true.argmax(1)
    return {
        label: mean_interval(right[:, true == i], pooled.groups[true == i], share=True)
        for i, label in enumerate(labels) if (true == i).any()
    }  # fmt: skip


def costed(row: ReportRow, done: Evaluated) -> ReportRow:
    """Return a row with its recipe's costs."""
    return replace(row, metrics={**row.metrics, **{name: Measure(value) for name, value in done.costs.items()}})


def timed(row: ReportRow, done: Evaluated) -> ReportRow:
    """Return a row with the mean wall-clock of its runs in s, 0 where nothing is trained; teachers are not in it."""
    if not done.seconds:
        return row
    trained = any(option.stages for option in done.row.options)
    took = Measure(float(np.mean(done.seconds)) if trained else 0.0)
    return replace(row, metrics={**row.metrics, TRAINING_TIME: took})


def report_row(done: Evaluated, labels: Sequence[str], multi_label: bool) -> ReportRow:
    """Return the line of a row in a table: a hole where no fold is whole."""
    row = done.row
    published = None if multi_label else next(iter(row.published.items()), None)  # the papers give accuracies
    first = {"agreement" if done.beside_teacher else "accuracy": published[1]} if published else {}
    common: dict[str, Any] = {
        "label": row.label, "condition": row.condition, "hole": done.hole,
        "published": {**first, **row.published_more} or None, "source": published[0] if published else "",
        "runs": tuple(done.runs),
    }  # fmt: skip
    if not done.folds:
        return ReportRow(**{**common, "hole": done.hole or "no run"})
    pooled = done.pooled(done.folds)
    per_fold = {fold: _first_measure(done.pooled([fold]), multi_label) for fold in done.folds}
    return ReportRow(
        **common, metrics=_row_measures(pooled, multi_label, len(done.seeds)) | _trust_measures(done, multi_label),
        per_fold=per_fold, per_class=_per_class(pooled, labels, multi_label),
        per_device=per_device(pooled, multi_label) if pooled.reference is None else {},
    )  # fmt: skip
