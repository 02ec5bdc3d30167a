"""Pipeline + clips → predictions → measures.

Longer clips are heard in windows and their logits averaged.  Measures carry 95 % intervals that resample source
recordings.  Where a listener is judged by how far it agrees with a teacher, over the teacher's own classes, its scores
are averaged instead (paper 003) and the teacher's first class stands for the true one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hearless import calibration, metrics
from hearless.calibration import Calibration
from hearless.interfaces import Batch, HearlessError, Prediction
from hearless.loading import Loader
from hearless.pipeline import PARTS, Pipeline
from hearless.plural import plural
from hearless.provenance import environment
from hearless.report import SPREAD, Report, compared
from hearless.report import Row as ReportRow
from hearless.resting import Kept
from hearless.run import Predictions, Run
from hearless.splits import natural
from hearless.statistics import (
    Measure,
    Paired,
    interval,
    mcnemar,
    mean_interval,
    paired_bootstrap,
    paired_metric,
)  # fmt: skip
from hearless.study import COSTS, Row, Study

Explain = Callable[[Batch], Prediction]
"""A teacher at work."""


def predictions(
    pipeline: Pipeline, loader: Loader, *, torch_device: str = "cpu", explain: Explain | None = None,
    part: str = PARTS[0], kept: Kept | None = None,
) -> Predictions:  # fmt: skip
    """Return what the pipeline, in eval mode, says of every clip of the loader; with ``explain``, beside a teacher.

    ``kept`` holds what enters ``part``, and what the teacher says, for the next call on the same loader.
    """
    kept = kept or Kept(limit=0)
    was_training = pipeline.training
    pipeline.eval()
    said, referred, distance = (_Mean(len(loader.clips)) for _ in range(3))
    with torch.inference_mode():
        for place, (batch, rows, share) in enumerate(loader.windows()):
            one = pipeline.onward(part, kept.of((part, place), partial(_entering, pipeline, part, batch, torch_device)))
            if explain is None:
                said.add(rows, share, one.logits)
                continue
            other = kept.of(("teacher", place), partial(explain, batch))
            said.add(rows, share, one.logits.double().sigmoid())
            referred.add(rows, share, other.logits.double().sigmoid())
            distance.add(rows, share, differences(one, other)[:, None])
    pipeline.train(was_training)
    ids, groups = np.array([clip.id for clip in loader.clips]), np.array([clip.group for clip in loader.clips])
    known = any(clip.device for clip in loader.clips)
    devices = np.array([clip.device or "" for clip in loader.clips]) if known else None
    if explain is None:
        targets = loader.table.targets(loader.clips)
        return Predictions(ids, targets, said.value.astype(np.float32), groups, devices=devices)
    reference = _logit(referred.value)
    first = np.eye(reference.shape[1], dtype=np.float32)[reference.argmax(1)]
    apart = distance.value[:, 0].astype(np.float32)
    return Predictions(ids, first, _logit(said.value), groups, reference, apart, devices)


def _entering(pipeline: Pipeline, part: str, batch: Batch, torch_device: str) -> Tensor | Prediction:
    return pipeline.before(part, *pipeline.hear(batch, torch_device))


@dataclass
class _Mean:
    """A mean over each clip's windows, every window weighed by its share."""

    n_clips: int
    total: NDArray[np.float64] | None = None
    heard: NDArray[np.float64] | None = None

    def add(self, rows: NDArray[np.int64], share: NDArray[np.float64], values: Tensor) -> None:
        if self.total is None or self.heard is None:
            self.total, self.heard = np.zeros((self.n_clips, values.shape[1])), np.zeros((self.n_clips, 1))
        np.add.at(self.total, rows, share[:, None] * values.double().cpu().numpy())
        np.add.at(self.heard, rows, share[:, None])

    @property
    def value(self) -> NDArray[np.float64]:
        if self.total is None or self.heard is None:
            return np.zeros((self.n_clips, 1))
        return self.total / self.heard


def _logit(scores: NDArray[np.float64]) -> NDArray[np.float32]:
    kept = np.clip(scores, 1e-12, 1 - 1e-12)
    return np.log(kept / (1 - kept)).astype(np.float32)


def fitted(found: Predictions, *, multi_label: bool) -> Calibration | None:
    """Return the calibration of validation predictions; None beside a teacher, whose classes are no truth."""
    if found.reference is not None or not len(found.ids):
        return None
    return calibration.fit(found.true, found.logits, multi_label=multi_label)


def calibration_of(run: Run) -> Calibration | None:
    """Return a run's calibration: what its measured.json says, or fitted on its validation predictions.

    None where there are no such predictions.
    """
    measured, path = run.measured, run.predictions("validation")
    if "temperature" in measured:
        return Calibration(measured["temperature"], tuple(measured["thresholds"]), measured["none_below"])
    return fitted(Predictions.load(path), multi_label=measured["multi_label"]) if path.is_file() else None


def keep_calibration(run: Run, **more: Any) -> Calibration | None:
    """Write a run's calibration into its measured.json, unless it is there or cannot be fitted, and return it.

    Only who makes the run writes; who reads it asks `calibration_of`.
    """
    found = calibration_of(run)
    if found is not None and ("temperature" not in run.measured or more):
        run.write("measured.json", {**run.measured, **asdict(found), **more})
    return found


def noise_named(
    pipeline: Pipeline, n_samples: int, rate_hz: int, rule: Calibration, *, multi_label: bool, torch_device: str = "cpu"
) -> dict[str, float]:
    """Return the share of windows of silence and of each noise that the pipeline, in eval mode, gives a class."""
    was_training = pipeline.training
    pipeline.eval()
    shares = {}
    for name, sound in calibration.noises(n_samples).items():
        with torch.inference_mode():
            logits = pipeline(pipeline.observe(torch.from_numpy(sound).to(torch_device), rate_hz)).logits
        finite = logits.isfinite().all(1).cpu().numpy()
        calm = logits.nan_to_num().double().cpu().numpy()
        scores = calibration.scores(calm, rule.temperature, multi_label=multi_label)
        shares[name] = float((rule.named(scores, multi_label=multi_label).any(1) & finite).mean())
    pipeline.train(was_training)
    return shares


def trust(found: Predictions, rule: Calibration, *, multi_label: bool) -> dict[str, float]:
    """Return how far scores ``[clip, class]`` can be trusted, as they are (raw) and calibrated.

    Expected calibration error, log loss in nats, and the share of clips that are given a class at all.
    """
    said = {}
    for suffix, temperature in (("_raw", 1.0), ("", rule.temperature)):
        scores = calibration.scores(found.logits, temperature, multi_label=multi_label)
        if multi_label:
            said[f"ece{suffix}"] = metrics.score_calibration_error(found.true, scores)
            losses = metrics.binary_losses(found.true, found.logits / temperature)
            said[f"log_loss{suffix}"] = float(losses.mean())
        else:
            true = found.true.argmax(1)
            said[f"ece{suffix}"] = metrics.expected_calibration_error(true, scores)
            said[f"log_loss{suffix}"] = metrics.log_loss(true, scores)
    return {**said, "named": float(rule.named(scores, multi_label=multi_label).any(1).mean())}


def differences(one: Prediction, other: Prediction) -> Tensor:
    """Return each clip's mean squared difference of the features that two classifiers saw; NaN where axes differ."""
    a, b = one.features, other.features
    if a is None or b is None or a.shape != b.shape:
        return torch.full((len(one.logits),), torch.nan)
    return (a.float() - b.float()).square().mean((1, 2, 3))


CHOSEN_BY = {False: ("accuracy", "macro_accuracy", "macro_f1", "loss"), True: ("mAP", "loss")}
"""The names of `measures`, by ``multi_label``; the first is the one of tables."""
SEEN, UNSEEN = "seen_devices", "unseen_devices"
"""The first measure on recording devices that were trained on and on others."""
AGREEMENT = ("agreement", "top5_agreement", "kl", "mel_mse", "loss")
"""The names of `measures` beside a teacher."""
TRAINING_TIME = "training time"
UNITS = {"kl": "nats / class", "mel_mse": "feature²", "loss": "nats", TRAINING_TIME: "s"}
TRUST_UNITS = {"log_loss": "nats", "log_loss_raw": "nats", "temperature": ""}
"""Units of what `trust` says, and of the temperature."""


def agreement(found: Predictions) -> dict[str, NDArray[np.float64]]:
    """Return per clip how far a listener agrees with its teacher; logits may be ``[seed, clip, class]``.

    ``agreement`` and ``top5_agreement`` of the first classes, paper 003's ``kl`` of the scores, ``mel_mse`` of the
    features, and ``loss``, the binary cross entropy of the scores with the teacher's.
    """
    if found.reference is None or found.distance is None:
        raise HearlessError("agreement needs a teacher's predictions beside the listener's; evaluate the run again.")
    logits = found.logits.reshape(-1, *found.reference.shape)
    theirs = metrics.sigmoid(found.reference)
    k = min(5, theirs.shape[1])
    each = {
        "agreement": [(run.argmax(1) == found.reference.argmax(1)).astype(np.float64) for run in logits],
        "top5_agreement": [metrics.top_k_shares(theirs, metrics.sigmoid(run), k) for run in logits],
        "kl": [metrics.published_divergences(theirs, metrics.sigmoid(run)) for run in logits],
        "mel_mse": list(found.distance.reshape(len(logits), -1).astype(np.float64)),
        "loss": [metrics.binary_losses(theirs, run) for run in logits],
    }
    return {name: np.stack(values) for name, values in each.items()}


def measures(found: Predictions, *, multi_label: bool) -> dict[str, float]:
    """Return the metrics by which epochs, α and T are chosen: accuracies, F1 and loss, mAP and loss, or agreement."""
    if found.reference is not None:
        return {name: float(values.mean()) for name, values in agreement(found).items()}
    if multi_label:
        return {
            "mAP": metrics.mean_average_precision(found.true, found.logits),
            "loss": float(metrics.binary_losses(found.true, found.logits).mean()),
        }
    true = found.true.argmax(1)
    return {
        "accuracy": metrics.accuracy(true, found.logits),
        "macro_accuracy": metrics.macro_accuracy(true, found.logits),
        "macro_f1": metrics.macro_f1(true, found.logits),
        "loss": metrics.log_loss(true, metrics.softmax(found.logits)),
    }


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


def correctness(pooled: Predictions) -> NDArray[np.float64]:
    """Return 1 where a clip is right, ``[seed, clip]``."""
    right: NDArray[np.bool_] = pooled.logits.argmax(-1) == pooled.true.argmax(-1)
    return right.astype(np.float64)


def _first_measure(pooled: Predictions, multi_label: bool) -> Measure:
    if multi_label:
        return interval(metrics.mean_average_precision, pooled.true, pooled.logits, pooled.groups, n_resamples=500)
    return mean_interval(correctness(pooled), pooled.groups)


def _joined(parts: Sequence[NDArray[Any] | None]) -> NDArray[Any] | None:
    """Return arrays one after the other, None where one is missing."""
    found = [part for part in parts if part is not None]
    return np.concatenate(found) if found and len(found) == len(parts) else None


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
        label: mean_interval(right[:, true == i], pooled.groups[true == i])
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


def _report_row(done: Evaluated, labels: Sequence[str], multi_label: bool) -> ReportRow:
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


def tabulate(
    study: Study, rows: Sequence[Evaluated], labels: Sequence[str], multi_label: bool, *, command: str = "",
    commit: str | None = None,
) -> Report:  # fmt: skip
    """Return a study's table: measures with intervals, per fold and class, paired tests, choices, published numbers."""
    by_label = {done.row.label: done for done in rows}
    pairs, p_mcnemar = {}, {}
    for a, b in study.compare:
        if all(shared(by_label[a], by_label[b])):
            pairs[a, b], p = paired_test(by_label[a], by_label[b], multi_label=multi_label)
            if p is not None:
                p_mcnemar[a, b] = p
    metric = "agreement" if any(done.beside_teacher for done in rows) else "mAP" if multi_label else "accuracy"
    seconds = [s for done in rows for s in done.seconds]
    lines = [costed(_report_row(done, labels, multi_label), done) for done in rows]
    once = {pair for pair in pairs if all(len(part) == 1 for part in shared(*(by_label[name] for name in pair)))}
    doubts = {} if multi_label else {done.row.label: words for done in rows if (words := collapsed(done))}
    return Report(
        title=study.title, task=study.task,
        columns=(*_columns(metric, rows), *((TRAINING_TIME,) if study.training_time else ()), *study.costs),
        rows=tuple(timed(line, done) if study.training_time else line for line, done in zip(lines, rows, strict=True)),
        tests=compared(pairs, metric=metric, p_mcnemar=p_mcnemar, doubts=doubts, once=once),
        notes=(*study.notes, *_recordings(rows, labels), *(f"Beware: {words}." for words in doubts.values()),
               *_remarks(rows)),
        command=command, commit=commit, environment=environment(),
        seconds_per_run=float(np.mean(seconds)) if seconds else None, seeds=study.seeds,
        units=UNITS | COSTS | (TRUST_UNITS if any(done.rules for done in rows) else {}),
    )  # fmt: skip


def collapsed(done: Evaluated) -> str:
    """Say how many of a row's runs name one class only, whatever they hear; nothing where none does.

    One that hears through another view than it was trained on may do so though it was trained.
    """
    n, of = sum(map(names_one_class, done.found.values())), len(done.found)
    if not n:
        return ""
    learned = "" if done.row.heard_through or not done.row.options[0].stages else ": not trained"
    which = f"{n} of {plural(of, 'run')} of {done.row.label} name{'s' if n == 1 else ''}"
    return f"{which} one class only{learned}"


def names_one_class(found: Predictions) -> bool:
    """Say whether all clips get one and the same class, where more than one is right."""
    said = found.logits.argmax(-1)
    return len(np.unique(found.true.argmax(-1))) > 1 and bool((said == said[..., :1]).all())


def _columns(metric: str, rows: Sequence[Evaluated]) -> tuple[str, ...]:
    """Return the measures shown: the first, its spread where there are seeds, and macro F1 of single labels."""
    if metric == "agreement":
        return AGREEMENT
    more = (SPREAD,) if any(len(done.seeds) > 1 and done.folds for done in rows) else ()
    known = [found.seen for done in rows for found in done.found.values() if found.seen is not None]
    devices = (SEEN, *((UNSEEN,) if any(not seen.all() for seen in known) else ())) if known else ()
    return (metric, *more, *devices, *(() if metric == "mAP" else ("macro_f1",)))


def _recordings(rows: Sequence[Evaluated], labels: Sequence[str]) -> list[str]:
    """Say how many source recordings of each class are tested, where devices are told apart."""
    found = next((done.pooled(done.folds) for done in rows if done.folds), None)
    if found is None or found.seen is None:
        return []
    counts = {
        label: len(set(found.groups[found.true[:, i] > 0].tolist())) for i, label in enumerate(labels)
    }  # fmt: skip
    said = ", ".join(f"{label} {n}" for label, n in counts.items())
    return [f"Source recordings tested: {len(set(found.groups.tolist()))} ({said})."]


def _remarks(rows: Sequence[Evaluated]) -> list[str]:
    """Say what was chosen per fold, how long runs took, and every published number beyond the first."""
    notes = []
    for done in rows:
        if len(done.row.options) > 1:
            chosen = ", ".join(f"{fold}: {done.row.options[i].name}" for fold, i in done.choices.items())
            notes.append(f"{done.row.label}: chosen on each fold's own validation part: {chosen}.")
        if done.seconds and not done.row.heard_through:
            runs = plural(len(done.seconds), "run")
            notes.append(f"{done.row.label}: {runs} of {np.mean(done.seconds):.0f} s (mean).")
        if len(done.row.published) > 1:
            others = [f"{100 * value:.1f} ({source})" for source, value in [*done.row.published.items()][1:]]
            notes.append(f"{done.row.label}: also published: {', '.join(others)}.")
    return notes
