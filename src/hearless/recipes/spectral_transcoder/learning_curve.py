"""How far do fewer clips and fewer epochs get?  A transcoder trained on shares of the clips, and over epochs (ours).

Shares are nested and keep recordings together; validation and test clips are the same for all.  A share of the clips
takes as many epochs and so fewer steps: half of the clips in 40 epochs is as many steps as all of them in 20.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from itertools import pairwise

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
TRANSCODERS = {"light": light.recipe, "CNN-logits": cnn_logits.recipe}
SHARE, EPOCHS = "share of the training clips", "epochs"


@dataclass(frozen=True)
class Options:
    """What ``--set`` takes beside the settings; ``rows=light,CNN-logits`` takes both transcoders.

    Attributes:
        shares: of the training clips, parted by commas; trained for the settings' epochs.
        epoch_counts: epochs on all of the clips.
    """

    shares: str = "1/8,1/4,1/2,1"
    epoch_counts: str = "5,10,20,40"

    def points(self, epochs: int) -> list[tuple[Fraction, int]]:
        """Return shares and epochs of the rows, beginning with the smallest share.

        Raises:
            HearlessError: a share outside 0..1, or epochs that are no whole number above 0.
        """
        parts = sorted({_share(word) for word in self.shares.split(",")})
        counts = sorted({_count(word) for word in self.epoch_counts.split(",")})
        return list(dict.fromkeys([*((part, epochs) for part in parts), *((Fraction(1), n) for n in counts)]))


WORDS = tuple(f.name for f in fields(Options))


def analyse(lab: Lab, question: Question) -> Report:
    """Return the table, with a picture of agreement along shares and epochs."""
    no_rates(question.rates)
    options: Options = with_words(Options(), question.words, ())
    made = table(question.each, options, folds=question.folds, seeds=question.seeds, task=question.task)
    report = lab.study(made, question.command)
    if panels := curves_of(report, question.each[0].epochs):
        curves(panels, question.place / "learning_curve.png", title=report.title, measure="agreement")
    return report


def table(
    each: Sequence[Settings], options: Options, *, folds: tuple[str, ...] = (), seeds: tuple[int, ...] = (0,),
    task: str = "",
) -> Study:  # fmt: skip
    """Return the study of one frozen classifier.

    Raises:
        HearlessError: several classifiers.
    """
    settings = the_one(each, "a learning curve takes one frozen classifier")
    points = options.points(settings.epochs)
    names = replace(settings, rows=settings.rows or "light").wanted(TRANSCODERS)
    rows = {(name, *point): _row(settings, name, *point) for name in names for point in points}
    pairs = [pair for name in names for pair in _pairs(name, points, settings.epochs)]
    return Study(
        name="spectral_transcoder/learning_curve", title="How far fewer clips and fewer epochs get", task=task,
        rows=tuple(rows.values()), seeds=seeds, folds=folds, training_time=True,
        compare=tuple((rows[more].label, rows[less].label) for more, less in pairs),
        notes=("Shares are of the fold's training clips, whole recordings, a smaller one within each larger one.",),
    )  # fmt: skip


Point = tuple[str, Fraction, int]
"""Transcoder, share of the clips, epochs."""


def _row(settings: Settings, name: str, part: Fraction, epochs: int) -> Row:
    recipe: Recipe = TRANSCODERS[name](replace(settings, epochs=epochs))
    told = "all clips" if part == 1 else f"{part} of the clips"
    condition = {"classifier": settings.backbone.name, "transcoder": name, SHARE: str(part), EPOCHS: str(epochs)}
    return Row(f"{name}, {told}, {plural(epochs, 'epoch')}", condition, (replace(recipe, training_share=float(part)),))


def _pairs(name: str, points: Sequence[tuple[Fraction, int]], epochs: int) -> list[tuple[Point, Point]]:
    """Return which row is tested against the next smaller one, along the shares and along the epochs."""
    along_shares = sorted(point for point in points if point[1] == epochs)
    along_epochs = sorted(point for point in points if point[0] == 1)
    steps = [(b, a) for line in (along_shares, along_epochs) for a, b in pairwise(line)]
    return [((name, *more), (name, *less)) for more, less in steps]


def curves_of(report: Report, epochs: int) -> list[Curve]:
    """Return agreement along the shares at ``epochs`` and along the epochs on all clips, where it is measured."""
    lines: dict[str, dict[str, list[tuple[float, Measure]]]] = {SHARE: {}, EPOCHS: {}}
    for row in report.rows:
        part, count = Fraction(str(row.condition[SHARE])), int(str(row.condition[EPOCHS]))
        name, measure = str(row.condition["transcoder"]), row.metrics.get(report.columns[0])
        if measure is not None and count == epochs:
            lines[SHARE].setdefault(f"{name}, {plural(epochs, 'epoch')}", []).append((float(part), measure))
        if measure is not None and part == 1:
            lines[EPOCHS].setdefault(f"{name}, all clips", []).append((float(count), measure))
    return [Curve(along, found) for along, found in lines.items() if found]


def _share(word: str) -> Fraction:
    with suppress(ValueError, ZeroDivisionError):
        if 0 < Fraction(word.strip()) <= 1:
            return Fraction(word.strip())
    raise HearlessError(f"shares must lie in 0..1, 0 excluded, such as 1/8,1/2,1, got {word.strip()!r}.")


def _count(word: str) -> int:
    if not word.strip().isdecimal() or int(word) < 1:
        raise HearlessError(f"epoch_counts must be whole numbers above 0, such as 5,10,20, got {word.strip()!r}.")
    return int(word)
