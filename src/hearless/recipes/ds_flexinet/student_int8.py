"""The int8 training that goes on from the fp32 student (trained first): the int8 rows of Table II."""

from __future__ import annotations

from hearless.recipe import Recipe
from hearless.recipes.ds_flexinet import student
from hearless.recipes.ds_flexinet.settings import Settings


def recipe(settings: Settings, fold: str = "") -> Recipe:
    """Return the int8 training (`student.int8`)."""
    return student.int8(settings, fold)
