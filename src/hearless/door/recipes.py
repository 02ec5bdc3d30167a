"""Recipes and studies, loaded by name, so that nothing below knows them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from hearless.interfaces import HearlessError
from hearless.spec import Spec


def recipe_module(name: str) -> ModuleType:
    """Return the recipe or study called ``folder/file``.

    Raises:
        HearlessError: there is none; those known are listed.
    """
    if name not in recipe_names():
        raise HearlessError(f"recipes and studies are {', '.join(recipe_names())}; got {name!r}.")
    return importlib.import_module(f"hearless.recipes.{name.replace('/', '.')}")


def maker(name: str, *kinds: str) -> Callable[..., Any]:
    """Return the function ``recipe`` of a recipe file, or ``study`` or ``analyse`` of a study's.

    Raises:
        HearlessError: there is no such file, or it makes another kind; those known are listed.
    """
    system = name.partition("/")[0]
    of_system = [known for known in recipe_names() if known.startswith(f"{system}/")] or recipe_names()
    inside = {known: vars(recipe_module(known)) for known in of_system}
    makers = {known: next((vars_[kind] for kind in kinds if kind in vars_), None) for known, vars_ in inside.items()}
    if makers.get(name) is None:
        known = ", ".join(known for known, made in makers.items() if made is not None)
        raise HearlessError(f"{name!r} is no {kinds[0]}; known are {known}.")
    return cast("Callable[..., Any]", makers[name])


def recipe_names() -> tuple[str, ...]:
    """Return ``folder/file`` of every recipe and study, without importing one."""
    package = importlib.import_module("hearless.recipes")
    systems = [m.name for m in pkgutil.iter_modules(package.__path__) if m.ispkg]
    return tuple(
        f"{system}/{m.name}"
        for system in systems
        for m in pkgutil.iter_modules([str(Path(package.__path__[0]) / system)])
        if m.name != "settings" and not m.name.startswith("_")
    )


def is_analysis(name: str) -> bool:
    """Say whether a study is an analysis: it makes its own table and pictures (see `hearless.study.Question`)."""
    return "analyse" in vars(recipe_module(name))


def settings(system: str, data: Spec, /, **words: Any) -> Any:
    """Return a recipe folder's settings for a data set; ``words`` are its `from_words` arguments."""
    return importlib.import_module(f"hearless.recipes.{system}.settings").from_words(data, **words)
