"""Which transcoder?  Kernels, layers, dilations, channels and learning rates, the full network and the light one.

Paper 003 §4.3 tried them and prints the best alone (kernel 5, no dilation, 64 channels, 5 layers, 1e-3).  Chosen by
the loss on each fold's validation part; the test folds stay untouched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import product

import torch

from hearless.complexity import complexity
from hearless.dsp.octave_bands import interval_of
from hearless.interfaces import HearlessError
from hearless.lab import Lab
from hearless.pictures import Curve, curves
from hearless.plural import plural
from hearless.recipe import Recipe
from hearless.recipes._shared import no_rates, the_one, with_words
from hearless.recipes.spectral_transcoder import cnn_logits, light
from hearless.recipes.spectral_transcoder.settings import Settings
from hearless.report import Report
from hearless.statistics import Measure
from hearless.study import Question, Row, Study

BACKBONES = ("yamnet",)
FULL, LIGHT = "CNN-logits", "light"
COST = "multiply–adds a second of sound (millions)"


@dataclass(frozen=True)
class Options:
    """What ``--set`` takes beside the settings: lists parted by commas; ``rows=light`` tries the light one alone.

    Attributes:
        kernels: frames x Mel bands.
        layer_counts, dilations, channel_counts: of the CNN transcoder.
        light_channel_counts, light_block_counts: of the light one.
        learning_rates: of the CNN transcoder; the light one takes three times as much.
    """

    kernels: str = "3x3,3x5,5x5"
    layer_counts: str = "3,5"
    dilations: str = "1,2"
    channel_counts: str = "32,64"
    light_channel_counts: str = "16,32,64"
    light_block_counts: str = "2,4,6"
    learning_rates: str = "0.001"


WORDS = tuple(f.name for f in fields(Options))


@dataclass(frozen=True)
class Try:
    """One network of the search.

    Attributes:
        family: `FULL` or `LIGHT`.
        name: what sets it apart.
        settings: with its sizes and its learning rate.
    """

    family: str
    name: str
    settings: Settings

    @property
    def label(self) -> str:
        """What the table calls it."""
        return f"{self.family}: {self.name}"

    @property
    def recipe(self) -> Recipe:
        """Its training, named after its sizes."""
        made = cnn_logits.recipe(self.settings) if self.family == FULL else light.recipe(self.settings)
        return made.named(f"{made.name}-{self.name.replace('×', 'x').replace(', ', '-').replace(' ', '_')}")

    def cost(self) -> tuple[int, int]:
        """Return its parameters and its multiply–adds in a second of sound."""
        enhancer = self.recipe.student.enhancer
        assert enhancer is not None
        n_frames = interval_of(self.settings.interval, "Settings").rate_hz
        n_bands = self.recipe.student.frontend.build().n_bands
        counted = complexity(enhancer.build(), torch.zeros(1, 1, n_bands, n_frames))
        return counted.parameters, counted.macs


def analyse(lab: Lab, question: Question) -> Report:
    """Return the table, with a picture of agreement by cost."""
    no_rates(question.rates)
    options: Options = with_words(Options(), question.words, ())
    made = table(question.each, options, folds=question.folds, seeds=question.seeds, task=question.task)
    report = lab.study(made, question.command)
    if (panel := by_cost(report)).lines:
        title = "What a transcoder costs and how far it agrees (validation clips)"
        curves([panel], question.place / "search.png", title=title, measure="agreement")
    return report


def tries(settings: Settings, options: Options) -> list[Try]:
    """Return the networks of the search, the full ones first.

    Raises:
        HearlessError: a list that cannot be read.
    """
    rates = _numbers("learning_rates", options.learning_rates)
    many = len(rates) > 1
    found = []
    for kernel, layers, dilation, channels, rate in product(
        _kernels(options.kernels), _wholes("layer_counts", options.layer_counts),
        _wholes("dilations", options.dilations), _wholes("channel_counts", options.channel_counts), rates,
    ):  # fmt: skip
        name = f"{kernel[0]}×{kernel[1]}, {plural(layers, 'layer')}, {plural(channels, 'channel')}, dilation {dilation}"
        of = replace(
            settings, kernel_frames=kernel[0], kernel_bands=kernel[1], layers=layers, channels=channels,
            dilation=dilation, learning_rate=rate,
        )  # fmt: skip
        found.append(Try(FULL, name + (f", rate {rate:g}" if many else ""), of))
    for channels, blocks, rate in product(
        _wholes("light_channel_counts", options.light_channel_counts),
        _wholes("light_block_counts", options.light_block_counts), rates,
    ):  # fmt: skip
        of = replace(settings, light_channels=channels, light_blocks=blocks, learning_rate=rate)
        name = f"{plural(channels, 'channel')}, {plural(blocks, 'block')}"
        found.append(Try(LIGHT, name + (f", rate {rate:g}" if many else ""), of))
    return [one for one in found if one.family in settings.wanted((FULL, LIGHT))]


def table(
    each: Sequence[Settings], options: Options, *, folds: tuple[str, ...] = (), seeds: tuple[int, ...] = (0,),
    task: str = "",
) -> Study:  # fmt: skip
    """Return the study of one frozen classifier: a row a network, then the best of each family on each fold.

    Raises:
        HearlessError: several classifiers, or a list that cannot be read.
    """
    settings = the_one(each, "a search takes one frozen classifier")
    found = tries(settings, options)
    families = list(dict.fromkeys(one.family for one in found))
    chosen = {family: f"chosen: {family}" for family in families}
    rows = [_row(one) for one in found]
    rows += [_chosen(settings, chosen[family], [one for one in found if one.family == family]) for family in families]
    best = [(chosen[one.family], one.label) for one in found if one.settings == settings]
    across = [(chosen[LIGHT], chosen[FULL])] if len(families) > 1 else []
    return Study(
        name="spectral_transcoder/search", title="Which transcoder", rows=tuple(rows), seeds=seeds, folds=folds,
        compare=(*best, *across) or ((chosen[families[0]], found[0].label),), judged_on="validation",
        training_time=True,
        task=f"{task} Judged on each fold's validation part; the test folds stay untouched.",
        notes=("Chosen is the least validation loss, so its own numbers here flatter it.",),
    )  # fmt: skip


def _row(one: Try) -> Row:
    parameters, macs = one.cost()
    condition = {
        "classifier": one.settings.backbone.name, "transcoder": one.family, "parameters": f"{parameters:,}",
        COST: f"{macs / 1e6:.4g}",
    }  # fmt: skip
    return Row(one.label, condition, (one.recipe,))


def _chosen(settings: Settings, label: str, found: Sequence[Try]) -> Row:
    condition = {"classifier": settings.backbone.name, "transcoder": found[0].family}
    return Row(label, condition, tuple(one.recipe for one in found))


def by_cost(report: Report) -> Curve:
    """Return agreement by multiply–adds, a line a family."""
    lines: dict[str, list[tuple[float, Measure]]] = {}
    for row in report.rows:
        measure = row.metrics.get(report.columns[0])
        if measure is not None and COST in row.condition:
            lines.setdefault(str(row.condition["transcoder"]), []).append((float(str(row.condition[COST])), measure))
    return Curve(COST, lines)


def _numbers(name: str, text: str) -> list[float]:
    try:
        found = [float(word) for word in text.split(",")]
    except ValueError:
        found = []
    if not found or min(found) <= 0:
        raise HearlessError(f"{name} must be numbers above 0 parted by commas, got {text!r}.")
    return found


def _wholes(name: str, text: str) -> list[int]:
    found = _numbers(name, text)
    if any(number != int(number) for number in found):
        raise HearlessError(f"{name} must be whole numbers parted by commas, got {text!r}.")
    return [int(number) for number in found]


def _kernels(text: str) -> list[tuple[int, int]]:
    sizes = [_wholes("kernels", word.replace("x", ",")) for word in text.split(",")]
    if any(len(size) != 2 for size in sizes):
        raise HearlessError(f"kernels must be frames x bands parted by commas, such as 3x5,5x5, got {text!r}.")
    return [(size[0], size[1]) for size in sizes]
