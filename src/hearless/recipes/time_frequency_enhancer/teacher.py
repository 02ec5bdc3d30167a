"""The teacher: AST, or another network, fine-tuned on the same clips (paper 002 §IV-B: five epochs).

On ESC-50 it trains with masks alone, on Speech Commands with all of Table I, as in AST's published recipes.
"""

from __future__ import annotations

from hearless.recipe import Recipe
from hearless.recipes.time_frequency_enhancer.settings import Settings


def recipe(settings: Settings) -> Recipe:
    """Return the teacher's training on the labels."""
    stage = settings.stage(
        settings.hard_loss(), settings.teacher_epochs, settings.teacher_learning_rate, settings.teacher_schedule
    )
    return Recipe(
        student=settings.view(settings.teacher), stages=(stage,), initial=settings.teacher.initial,
        augmentations=settings.augmentations(only_masks=not settings.mixup),
        name=f"time_frequency_enhancer/teacher-{settings.teacher.name}", **settings.common(),
    )  # fmt: skip
