"""A network made for a low rate, or one of 16 kHz sound adapted to it?  At equal multiply-accumulates (paper 001 §6).

The adapted network is the backbone of `table1`: its Mel axis is that of its weights, cropped to what the sensor hears.
Networks made for the rate hear forty bands spread over all of it (`own_axis`), in longer and fewer frames, as a signal
of little bandwidth allows.  Their width is the one whose multiply-accumulates come nearest to the adapted network's;
DS-FlexiNet has four sizes, of which the nearest is taken.  The table counts what came of it.

They start from random weights, for nobody published ones for such an axis; the adapted network starts from random ones
too, beside its published ones, and these also on the new axis, so that weights, axis and network part.  Every row is
trained by labels alone and by CSSD, whose teacher is the backbone's 16 kHz generation throughout.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial

import torch

from hearless.classifiers.ds_flexinet import WIDTHS, DSFlexiNet
from hearless.classifiers.efficientnetv2 import EfficientNetV2
from hearless.classifiers.mobilenetv3 import MobileNetV3
from hearless.complexity import complexity
from hearless.interfaces import HearlessError
from hearless.pipeline import PipelineSpec
from hearless.recipe import Recipe
from hearless.recipes._shared import TEACHER_RATE_HZ, the_one
from hearless.recipes.low_rate import cssd, fine_tuned, full_band
from hearless.recipes.low_rate.settings import Settings, on_own_axis
from hearless.recipes.low_rate.table1 import rate_text
from hearless.spec import Spec, spec
from hearless.study import MACS, PARAMETERS, Row, Study
from hearless.teachers import Trained

BACKBONES = ("mn04",)
CLIP_S = 5.0
"""Length of the clips that widths are matched on, where the settings name none; all of them grow with it alike."""

NARROWEST, WIDEST, STEP = 0.1, 2.0, 0.01


@cache
def million_macs(view: PipelineSpec, clip_s: float) -> float:
    """Return the millions of multiply-accumulates of a view's classifier for one clip; no number is computed."""
    rate_hz = int(view.capture.arguments["rate_hz"])
    axes = view.frontend.build().axes(round(clip_s * rate_hz))
    with torch.device("meta"):
        network = view.classifier.build(n_classes=50)
        return complexity(network, torch.empty(1, 1, len(axes.band_hz), axes.n_frames)).macs / 1e6


def nearest(made: Sequence[Spec], heard: Callable[[Spec], PipelineSpec], wanted: float, clip_s: float) -> Spec:
    """Return the classifier, of some in the order of their size, whose MACs come nearest to ``wanted`` millions."""
    low, high = 0, len(made) - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if million_macs(heard(made[middle]), clip_s) < wanted else (low, middle)
    return min((made[low], made[high]), key=lambda one: abs(million_macs(heard(one), clip_s) - wanted))


@cache
def widths(network: type, **more: str) -> tuple[Spec, ...]:
    """Return a network at every width, narrow to wide."""
    n = round((WIDEST - NARROWEST) / STEP) + 1
    return tuple(spec(network, width=round(NARROWEST + STEP * i, 2), **more) for i in range(n))


def native(settings: Settings, rate_hz: int) -> dict[str, PipelineSpec]:
    """Return the networks made for a rate by name, as many MACs as the adapted backbone."""
    clip_s = settings.clip_s or CLIP_S
    wanted = million_macs(settings.view(rate_hz), clip_s)
    heard = partial(on_own_axis, rate_hz)
    sizes = tuple(spec(DSFlexiNet, size=size) for size in WIDTHS)
    families = {
        "MobileNetV3": widths(MobileNetV3), "EfficientNetV2": widths(EfficientNetV2, variant="b0"),
        "DS-FlexiNet": sizes,
    }  # fmt: skip
    return {name: heard(nearest(made, heard, wanted, clip_s)) for name, made in families.items()}


def students(settings: Settings, rate_hz: int) -> dict[str, tuple[dict[str, str], list[Recipe]]]:
    """Return what is compared at a rate, by label: its condition, and its trainings by labels and by CSSD."""
    random = replace(settings, backbone=replace(settings.backbone, initial=None), initial="pretrained")
    adapted = settings.backbone.name
    own = on_own_axis(rate_hz, settings.backbone.classifier)
    views = {name: (random, view, "random", "own") for name, view in native(settings, rate_hz).items()}
    views[f"{adapted}, random weights"] = (random, settings.view(rate_hz), "random", "16 kHz, cropped")
    if settings.backbone.initial:
        views[f"{adapted}, own axis"] = (settings, own, "published", "own")
        views[adapted] = (settings, settings.view(rate_hz), "published", "16 kHz, cropped")
    found = {}
    for name, (chosen, view, weights, axis) in views.items():
        condition = {"rate": rate_text(rate_hz), "weights": weights, "Mel axis": axis}
        found[name] = (condition, _trainings(settings, chosen, view, name, rate_hz))
    return found


def _trainings(settings: Settings, chosen: Settings, view: PipelineSpec, name: str, rate_hz: int) -> list[Recipe]:
    """Return a student's training by labels and by CSSD; all are taught by the 16 kHz generation of ``settings``."""
    made = [fine_tuned.recipe(chosen, rate_hz), cssd.recipe(chosen, rate_hz)]
    if chosen is settings and view == settings.view(rate_hz):
        return made
    short = name.lower().replace(", ", "-").replace(" ", "_")
    teacher = Trained(full_band.recipe(settings))
    return [
        replace(one, student=view, teacher=one.teacher and teacher, name=f"{one.name}-{short}") for one in made
    ]  # fmt: skip


def study(
    each: Sequence[Settings], *, rates: Sequence[int] = (1000,), folds: tuple[str, ...] = (),
    seeds: tuple[int, ...] = (0,), task: str = "",
) -> Study:  # fmt: skip
    """Return the table of one adapted backbone."""
    settings = the_one(each)
    if settings.axis != "reference":
        raise HearlessError(f"this study compares both axes, got axis={settings.axis}; leave it out.")
    if wrong := [rate for rate in rates if rate >= TEACHER_RATE_HZ]:
        raise HearlessError(f"rates must be below {TEACHER_RATE_HZ} Hz, which the teacher hears, got {wrong[0]}.")
    made: list[Row] = []
    pairs: list[tuple[str, str]] = []
    for rate in sorted(rates, reverse=True):
        found = students(settings, rate)
        *others, adapted = found
        for number, taught in enumerate(("labels", "CSSD")):
            text = f", {taught}, {rate_text(rate)}"
            for name, (condition, trainings) in found.items():
                made.append(Row(f"{name}{text}", {**condition, "taught by": taught}, (trainings[number],)))
            pairs += [(f"{other}{text}", f"{adapted}{text}") for other in others]
        pairs += [(f"{name}, CSSD, {rate_text(rate)}", f"{name}, labels, {rate_text(rate)}") for name in found]
    return Study(
        name="low_rate/architectures", title="Made for a low rate, or adapted to it", task=task, rows=tuple(made),
        seeds=seeds, folds=folds, compare=tuple(pairs), training_time=True, costs=(PARAMETERS, MACS),
        notes=(f"α {settings.alpha:g}, T {settings.temperature:g}; one budget of epochs for all, random weights too.",),
    )  # fmt: skip
