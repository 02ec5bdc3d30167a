"""Why does a 16 kHz teacher help a low-rate student, if it does?  Three looks at trained networks (paper 001 §5.4).

* What each layer still shares with the teacher's: linear CKA on the test clips, student and teacher each hearing them
  through its own sensor.
* Which bands the decision uses: accuracy lost where a group of bands is replaced by its mean over the fold's
  validation clips.  A group whose loss is nothing may still say what another group says too.
* What the teacher's soft labels say beyond hard ones: their entropy, where the mass beside the true class goes, and
  whether the student's errors go there.  A student without a teacher errs there as well where classes sound alike: the
  difference between the two is what was handed on.

Networks and folds are those of `table1`, at the settings' α and T; teachers and students of one seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hearless import evaluate
from hearless.interfaces import Batch, Capture, HearlessError, Prediction
from hearless.lab import Lab
from hearless.loading import Loader
from hearless.pictures import confusions, heat_map, similarities
from hearless.pipeline import Pipeline
from hearless.provenance import code_commit, environment
from hearless.recipe import Recipe
from hearless.recipes._shared import with_words
from hearless.recipes.low_rate import basd, cssd, fine_tuned, full_band
from hearless.recipes.low_rate.settings import Settings
from hearless.recipes.low_rate.table1 import rate_text
from hearless.report import Report, Row
from hearless.run import Predictions
from hearless.statistics import Measure, interval, mean_interval, paired_bootstrap
from hearless.study import Question
from hearless.theory import (
    BatchedCKA,
    band_groups,
    dark_knowledge,
    entropy_bits,
    excess_information_bits,
    profile_correlation,
    runner_up,
    softened,
)
from hearless.theory import confusions as errors_of

BACKBONES = ("mn04",)
RATE_HZ = 1000
RAW = "16 kHz model, raw"
RESAMPLES = 500


@dataclass(frozen=True)
class Options:
    """What ``--set`` takes.

    Attributes:
        groups: groups of bands that are hidden in turn.
    """

    groups: int = 8


WORDS = tuple(f.name for f in fields(Options))


class Hiding(nn.Module):
    """A classifier that hears some bands ``[first, last)`` as they are on the mean.

    Args:
        classifier: whom to hide them from.
        bands: which.
        mean: of each band ``[band]``.
    """

    def __init__(self, classifier: nn.Module, bands: tuple[int, int], mean: Tensor) -> None:
        super().__init__()
        self.classifier, self.bands = classifier, bands
        self.register_buffer("mean", mean)

    def forward(self, features: Tensor, keep: Tensor | None = None, *, maps: bool = False) -> Prediction:
        """Classify ``[batch, 1, band, frame]``, the bands replaced."""
        first, last = self.bands
        hidden = features.clone()
        hidden[:, :, first:last] = cast(Tensor, self.mean)[first:last, None]
        said: Prediction = self.classifier(hidden, keep, maps=maps)
        return said


@dataclass(frozen=True)
class Found:
    """What a fold says.

    Attributes:
        layers: CKA of each layer of a listener with the teacher's, by listener.
        heard: test predictions by listener; the teacher's under "".
        hidden: test predictions by listener, a group of bands hidden in each.
        band_hz: the centres of the bands.
        taught: the teacher's predictions of the clips that the student trains on.
    """

    layers: dict[str, tuple[tuple[str, ...], tuple[str, ...], NDArray[Any]]]
    heard: dict[str, Predictions]
    hidden: dict[str, list[Predictions]]
    band_hz: tuple[float, ...]
    taught: Predictions


def analyse(lab: Lab, question: Question) -> Report:
    """Return one row a listener; its layers, bands and soft labels have tables and pictures of their own beside it."""
    options: Options = with_words(Options(), question.words, ())
    if len(question.each) != 1 or len(question.rates) > 1 or len(question.seeds) > 1:
        raise HearlessError(
            "this study takes one backbone, one rate and one seed, got "
            f"{len(question.each)}, {list(question.rates)} and {list(question.seeds)}."
        )
    settings, rate = question.each[0], (question.rates or (RATE_HZ,))[0]
    if settings.multi_label:
        raise HearlessError("soft labels are compared where each clip has one class; this table has several.")
    folds = lab.folds(settings.dataset, question.folds)
    extent = lab.extent(settings.dataset, folds, question.seeds)
    lab.make_ready([*listeners(settings, rate).values()], folds, question.seeds[0])
    found = [look(lab, settings, rate, fold, question.seeds[0], options.groups) for fold in folds]
    labels = lab.table(settings.dataset).labels
    made = {
        "layers": _layers(found), "bands": _bands(found, options.groups), "soft_labels": _soft_labels(found, settings),
    }  # fmt: skip
    for name, report in made.items():
        _signed(report, question).save(question.place / name)
    _draw(found, made["bands"], labels, question.place)
    rows = tuple(_row(label, found) for label in found[0].layers)
    return _signed(replace(
        made["layers"], title=f"What a student at {rate_text(rate)} has of its 16 kHz teacher", rows=rows,
        columns=("accuracy", "embedding", "dark knowledge", "to the runner-up", "excess information"),
        units={"embedding": "CKA", "dark knowledge": "correlation", "excess information": "bits"},
        notes=(extent, *NOTES), heading="listener",
        task=f"{question.task} α {settings.alpha:g}, T {settings.temperature:g}.".strip(),
    ), question)  # fmt: skip


NOTES = (
    "embedding: linear CKA with the teacher's, which hears the same clips at 16 kHz; mean over folds.",
    "dark knowledge: correlation, over pairs of classes, of where the teacher's mass beside the true class goes and of "
    "where the listener's goes.",
    "to the runner-up: of the listener's errors, those that name the teacher's second class.",
    "excess information: mutual information of the teacher's second class and the listener's error, less what shuffled "
    "errors fake.",
    "Each layer: layers/report.md and layers.png; bands: bands/report.md; soft labels: soft_labels/report.md.",
)


def listeners(settings: Settings, rate_hz: int) -> dict[str, Recipe]:
    """Return whose networks are looked at, by label; the first is the teacher's own, heard raw."""
    return {
        RAW: full_band.recipe(settings), "fine-tuned": fine_tuned.recipe(settings, rate_hz),
        "BASD": basd.recipe(settings, rate_hz), "CSSD": cssd.recipe(settings, rate_hz),
    }  # fmt: skip


def look(lab: Lab, settings: Settings, rate_hz: int, fold: str, seed: int, n_groups: int) -> Found:
    """Return what a fold's networks say of its test clips, training what is missing."""
    upper, recipes = full_band.recipe(settings), listeners(settings, rate_hz)
    students = {
        label: lab.listener(recipe, fold, seed, settings.view(rate_hz, 0) if label == RAW else None)
        for label, recipe in recipes.items()
    }
    teacher, sides = lab.listener(upper, fold, seed), lab.loaders(recipes["CSSD"], fold, seed)
    heard = {
        label: evaluate.predictions(one, sides["test"], torch_device=lab.torch_device)
        for label, one in {"": teacher, **students}.items()
    }
    own = {label: one for label, one in students.items() if label != RAW}
    band_hz = _band_hz(next(iter(own.values())), sides["test"])
    groups = band_groups(len(band_hz), n_groups)
    hidden = {label: _hidden(one, sides, groups, lab.torch_device) for label, one in own.items()}
    layers = {label: _shared(one, teacher, sides["test"], lab.torch_device) for label, one in students.items()}
    plain = replace(sides["training"], augmentations=())
    return Found(layers, heard, hidden, band_hz, evaluate.predictions(teacher, plain, torch_device=lab.torch_device))


def _band_hz(pipeline: Pipeline, loader: Loader) -> tuple[float, ...]:
    """Return the centres of the bands that a pipeline hears."""
    rate_hz = cast(Capture, pipeline.capture).rate_hz
    return pipeline.axes(round(loader.clip_s * rate_hz)).band_hz


@torch.inference_mode()
def _features(pipeline: Pipeline, batch: Batch, torch_device: str) -> Tensor:
    return pipeline.features(pipeline.observe(batch.waveform.to(torch_device), batch.rate_hz, batch.devices))


def _hidden(
    pipeline: Pipeline, sides: Mapping[str, Loader], groups: Sequence[tuple[int, int]], torch_device: str
) -> list[Predictions]:
    """Return what a pipeline says of the test clips where each group of bands in turn is hidden from it."""
    heard = [_features(pipeline, batch, torch_device) for batch, *_ in sides["validation"].windows()]
    mean = torch.cat([features.mean((1, 3)) for features in heard]).mean(0)
    found = []
    for bands in groups:
        deaf = Hiding(pipeline.classifier, bands, mean)
        other = Pipeline(capture=pipeline.capture, frontend=pipeline.frontend, classifier=deaf).eval()
        found.append(evaluate.predictions(other, sides["test"], torch_device=torch_device))
    return found


@torch.inference_mode()
def _shared(
    student: Pipeline, teacher: Pipeline, loader: Loader, torch_device: str
) -> tuple[tuple[str, ...], tuple[str, ...], NDArray[Any]]:
    """Return the CKA of every layer of a student with every layer of its teacher."""
    gathered = BatchedCKA()
    for batch, *_ in loader.windows():
        gathered.add(*(_representations(one, batch, torch_device) for one in (student, teacher)))
    return gathered.matrix()


def _representations(pipeline: Pipeline, batch: Batch, torch_device: str) -> dict[str, NDArray[Any]]:
    """Return what leaves each layer of a pipeline, from the first to the logits."""
    said = pipeline.judge(_features(pipeline, batch, torch_device), maps=True)
    every = {**said.maps, "embedding": said.embedding, "logits": said.logits}
    return {name: x.float().cpu().numpy() for name, x in every.items()}


# --- tables and pictures ----------------------------------------------------------------------------------------------


def _signed(report: Report, question: Question) -> Report:
    return replace(
        report, command=question.command, commit=code_commit(), environment=environment(),
        seeds=question.seeds, task=report.task or question.task,
    )  # fmt: skip


def _mean_layers(found: Sequence[Found], label: str) -> tuple[tuple[str, ...], tuple[str, ...], NDArray[Any]]:
    """Return a listener's layers, the teacher's, and their CKA, the mean over folds."""
    rows, columns, _ = found[0].layers[label]
    return rows, columns, np.mean([one.layers[label][2] for one in found], axis=0)


def _layers(found: Sequence[Found]) -> Report:
    """Return a row a layer: each listener's CKA with the same layer of the teacher."""
    labels = tuple(found[0].layers)
    means = {label: _mean_layers(found, label) for label in labels}
    names = [name for name in means[labels[0]][0] if name in means[labels[0]][1]]
    rows = []
    for name in names:
        shared = {
            label: Measure(float(values[mine.index(name), theirs.index(name)]))
            for label, (mine, theirs, values) in means.items()
        }
        rows.append(Row(name, {}, shared))
    return Report(
        title="What each layer shares with the teacher's", task="", columns=labels, rows=tuple(rows),
        units=dict.fromkeys(labels, "CKA"), heading="layer",
        notes=("Linear CKA of the same layer of listener and teacher, unbiased over batches; mean over folds.",),
    )  # fmt: skip


def _pooled(parts: Sequence[Predictions]) -> Predictions:
    """Return the predictions of several folds one after the other."""
    return Predictions(*(
        np.concatenate([getattr(one, name) for one in parts]) for name in ("ids", "true", "logits", "groups")
    ))  # fmt: skip


def _right(found: Predictions) -> NDArray[Any]:
    right: NDArray[Any] = (found.logits.argmax(1) == found.true.argmax(1)).astype(np.float64)
    return right


def _bands(found: Sequence[Found], n_groups: int) -> Report:
    """Return a row a group of bands: the accuracy that each listener loses without it."""
    labels, band_hz = tuple(found[0].hidden), found[0].band_hz
    rows = []
    for number, (first, last) in enumerate(band_groups(len(band_hz), n_groups)):
        lost = {}
        for label in labels:
            whole = _pooled([one.heard[label] for one in found])
            deaf = _pooled([one.hidden[label][number] for one in found])
            paired = paired_bootstrap(_right(whole), _right(deaf), whole.groups)
            lost[label] = Measure(paired.difference, paired.low, paired.high, paired.n)
        name = f"{band_hz[first]:.0f}–{band_hz[last - 1]:.0f} Hz"
        rows.append(Row(name, {"bands": f"{first + 1}–{last}"}, lost))
    return Report(
        title="Accuracy lost without a group of bands", task="", columns=labels, rows=tuple(rows), heading="hidden",
        notes=("Points of accuracy lost where these bands (by their centres) say what they say on the mean.",),
    )  # fmt: skip


def _soft_labels(found: Sequence[Found], settings: Settings) -> Report:
    """Return what the teacher's labels hold, on the clips it taught and on those of the test, hard and softened."""
    sides = {
        "training clips": _pooled([one.taught for one in found]),
        "test clips": _pooled([one.heard[""] for one in found]),
    }
    rows = []
    for side, said in sides.items():
        for temperature in dict.fromkeys((1.0, settings.temperature)):
            shares, true = softened(said.logits, temperature), said.true.argmax(1)
            second = runner_up(shares, true)
            each = np.arange(len(true))
            values = {
                "entropy": entropy_bits(shares), "true class": shares[each, true],
                "runner-up": shares[each, second], "rest": 1 - shares[each, true] - shares[each, second],
            }  # fmt: skip
            measured = {name: mean_interval(np.clip(v, 0, None), said.groups) for name, v in values.items()}
            rows.append(Row(f"{side}, T {temperature:g}", {"clips": side, "T": f"{temperature:g}"}, measured))
    return Report(
        title="What the teacher's labels hold beside the true class", task="", rows=tuple(rows),
        columns=("entropy", "true class", "runner-up", "rest"), units={"entropy": "bits"}, heading="labels",
        notes=("Mean shares of the teacher's soft labels: of the true class, of the largest other, of all others.",),
    )  # fmt: skip


def _row(label: str, found: Sequence[Found]) -> Row:
    """Return a listener's row of the first table."""
    said, teacher = (_pooled([one.heard[name] for one in found]) for name in (label, ""))
    true = said.true.argmax(1)
    second = runner_up(softened(teacher.logits), true)
    given = said.logits.argmax(1)
    wrong = given != true
    mine, theirs, values = _mean_layers(found, label)
    both = np.concatenate([softened(teacher.logits), softened(said.logits)], 1)
    metrics = {
        "accuracy": mean_interval(_right(said), said.groups, share=True),
        "embedding": Measure(float(values[mine.index("embedding"), theirs.index("embedding")])),
        "dark knowledge": interval(_handed_on, true, both, said.groups, n_resamples=RESAMPLES),
    }
    if wrong.any():
        rng = np.random.default_rng(0)
        metrics |= {
            "to the runner-up": mean_interval((given == second)[wrong].astype(np.float64), said.groups[wrong]),
            "excess information": Measure(excess_information_bits(second[wrong], given[wrong], rng)),
        }
    return Row(label, {}, metrics)


def _handed_on(true: NDArray[Any], both: NDArray[Any]) -> float:
    """Return how alike teacher and listener (shares side by side) spread what they give to other classes."""
    teacher, listener = np.split(both, 2, axis=1)
    return profile_correlation(dark_knowledge(true, teacher), dark_knowledge(true, listener))


def _draw(found: Sequence[Found], bands: Report, labels: Sequence[str], place: Path) -> None:
    """Draw layers against layers, the same layers by listener, bands, and dark knowledge beside errors."""
    means = {label: _mean_layers(found, label) for label in found[0].layers}
    similarities(
        means, place / "layers.png", along=("listener's layer", "teacher's layer"), measure="linear CKA",
        title="What each layer shares with the 16 kHz teacher's layers",
    )  # fmt: skip
    cells = {(row.label, label): row.metrics[label] for row in bands.rows for label in bands.columns}
    heat_map(
        cells, place / "bands.png", along=("hidden", "listener"), title=bands.title, measure="accuracy lost",
        unit="points",
    )  # fmt: skip
    teacher = _pooled([one.heard[""] for one in found])
    true = teacher.true.argmax(1)
    panels = {"teacher's soft labels": dark_knowledge(true, softened(teacher.logits))}
    for label in bands.columns:
        given = _pooled([one.heard[label] for one in found]).logits.argmax(1)
        panels[f"errors: {label}"] = errors_of(true, given, len(labels))
    confusions(panels, labels, place / "dark_knowledge.png", title="Where what is not the true class goes")
