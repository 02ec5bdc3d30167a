"""The student: EfficientNetV2 alone or behind TFE(n), with CMKD or without (paper 002 §III, eq. 3).

Teacher and student hear the same augmented clip: mixed, masked, noised and rolled alike.
"""

from __future__ import annotations

from dataclasses import replace

from hearless.enhancers.time_frequency_enhancer import TimeFrequencyEnhancer
from hearless.recipe import Recipe
from hearless.recipes.time_frequency_enhancer import teacher
from hearless.recipes.time_frequency_enhancer.settings import Settings
from hearless.spec import spec
from hearless.teachers import Trained


def recipe(settings: Settings, n_blocks: int = 4, *, taught: bool = True) -> Recipe:
    """Return TFE(``n_blocks``) in front of the backbone, 0 for none; ``taught=False`` learns from labels alone."""
    how = settings.initialisation
    enhancer = spec(TimeFrequencyEnhancer, n_blocks=n_blocks, initialisation=how) if n_blocks else None
    start = start_of(how) if n_blocks else ""
    objective = settings.distillation() if taught else settings.hard_loss()
    return Recipe(
        student=replace(settings.view(settings.backbone), enhancer=enhancer),
        stages=(settings.stage(objective, settings.epochs, settings.learning_rate, settings.schedule),),
        teacher=Trained(teacher.recipe(settings)) if taught else None, initial=settings.backbone.initial,
        augmentations=settings.augmentations(),
        name=f"time_frequency_enhancer/tfe{n_blocks}{start}-{settings.backbone.name}{'' if taught else '-untaught'}",
        **settings.common(),
    )  # fmt: skip


def start_of(initialisation: str) -> str:
    """Return what an enhancer's initialisation adds to a recipe's name; nothing for PyTorch's own."""
    return "" if initialisation == "torch" else f"-{initialisation}"
