"""The student: DS-FlexiNet taught by all teachers together (eq. 4 and 5) in fp32, and the int8 training after it.

Distillation, augmentation and batches stay the same in int8 training.
"""

from __future__ import annotations

from dataclasses import replace

from hearless.classifiers.ds_flexinet import DSFlexiNet
from hearless.frontends.preemphasis_mel import PreEmphasisMel
from hearless.objectives.fused_distillation import FusedDistillation
from hearless.pipeline import PipelineSpec
from hearless.recipe import Recipe
from hearless.recipes.ds_flexinet import teacher
from hearless.recipes.ds_flexinet.settings import Settings
from hearless.spec import Spec, spec
from hearless.teachers import Fused, Trained

FROZEN_FROM = 20 / 24
"""Batch norms and ranges rest for the last four of 24 epochs, as in the lineage."""


def recipe(settings: Settings, fold: str = "") -> Recipe:
    """Return the fp32 student."""
    taught = settings.how != "none"
    objective = distillation(settings) if taught else settings.hard_loss()
    teachers = tuple(teacher.every(settings, fold).values()) if taught else ()
    return Recipe(
        student=PipelineSpec(settings.capture(), frontend(settings), network(settings)),
        stages=(settings.stage(objective, settings.epochs, settings.learning_rate, settings.weight_decay),),
        teacher=Fused(teachers, settings.how) if taught else None, augmentations=settings.augmentations(),
        stored_draws=settings.stored_draws if taught else 0, batch_size=settings.batch_size,
        average_last=settings.average_last,
        name=f"ds_flexinet/{settings.size}-{settings.norm}-{settings.how}", **settings.common(fold),
    )  # fmt: skip


def int8(settings: Settings, fold: str = "") -> Recipe:
    """Return the int8 training of the fp32 student's weights."""
    start = recipe(settings, fold)
    (stage,) = start.stages
    quantized = settings.stage(
        stage.objectives[0], settings.int8_epochs, settings.int8_learning_rate, settings.weight_decay,
        schedule="constant", quantized=settings.backend, norms_until=FROZEN_FROM, ranges_until=FROZEN_FROM,
    )  # fmt: skip
    return replace(start, stages=(quantized,), initial=Trained(start), name=f"{start.name}-int8")


def frontend(settings: Settings) -> Spec:
    """Return 256 bands × 64 frames a second."""
    return spec(PreEmphasisMel, input_rate_hz=settings.rate_hz, hop_ms=15.625, **teacher.WIDE)


def network(settings: Settings) -> Spec:
    """Return the network."""
    return spec(DSFlexiNet, size=settings.size, norm=settings.norm)


def distillation(settings: Settings) -> Spec:
    """Return eq. 5."""
    return spec(
        FusedDistillation, weight=settings.weight_of_labels, temperature=settings.temperature, rule=settings.rule,
        last_weight=settings.last_weight, multi_label=settings.multi_label,
    )  # fmt: skip
