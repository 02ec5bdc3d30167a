"""Recipes and studies, loaded by name, so that nothing below knows them."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from hearless.closest import closest
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
    inside = _made_by(of_system, kinds)
    if name not in inside:
        mistyped = _other(name) if name in of_system else meant(name, inside) or _elsewhere(name, kinds)
        raise HearlessError(f"{name!r} is no {kinds[0]}{mistyped}; known are {', '.join(inside)}.")
    return inside[name]


def _other(name: str) -> str:
    """Return " (it is …)" of a file that makes something else than what is asked for."""
    kind = "a recipe: hearless train --method" if "recipe" in vars(recipe_module(name)) else "a study: hearless study"
    return f" (it is {kind} {name})"


def _made_by(names: Iterable[str], kinds: Sequence[str]) -> dict[str, Callable[..., Any]]:
    """Return the first function of these kinds of each file that has one, by the file's name."""
    inside = {name: vars(recipe_module(name)) for name in names}
    found = {name: next((vars_[kind] for kind in kinds if kind in vars_), None) for name, vars_ in inside.items()}
    return {name: cast("Callable[..., Any]", made) for name, made in found.items() if made is not None}


def study_names() -> tuple[str, ...]:
    """Return ``folder/file`` of every study."""
    return tuple(_made_by(recipe_names(), ("study", "analyse")))


def meant(name: str, known: Iterable[str]) -> str:
    """Return " (did you mean …?)" where a known name is close to a mistyped one, else nothing."""
    close = closest(name, known)
    return f" (did you mean {close}?)" if close else ""


def _elsewhere(name: str, kinds: Sequence[str]) -> str:
    """Return " (did you mean …?)" where another folder has a file of that name, else nothing."""
    file = name.rpartition("/")[2]
    found = _made_by((known for known in recipe_names() if known.endswith(f"/{file}")), kinds)
    return f" (did you mean {' or '.join(found)}?)" if found else ""


def systems() -> tuple[str, ...]:
    """Return the folders of recipes and studies."""
    return tuple(dict.fromkeys(name.partition("/")[0] for name in recipe_names()))


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


def described() -> dict[str, dict[str, str]]:
    """Return the recipes and the studies by name with the first line of what their files say, importing none."""
    found: dict[str, dict[str, str]] = {"recipes": {}, "studies": {}}
    place = Path(importlib.import_module("hearless.recipes").__path__[0])
    for name in recipe_names():
        tree = ast.parse((place / f"{name}.py").read_text(encoding="utf-8"))
        made = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        said = (ast.get_docstring(tree) or "").partition("\n")[0]
        for kind, makers in (("recipes", {"recipe"}), ("studies", {"study", "analyse"})):
            if made & makers:
                found[kind][name] = said
    return found


def is_analysis(name: str) -> bool:
    """Say whether a study is an analysis: it makes its own table and pictures (see `hearless.study.Question`)."""
    return "analyse" in vars(recipe_module(name))


def settings(system: str, data: Spec, /, **words: Any) -> Any:
    """Return a recipe folder's settings for a data set; ``words`` are its `from_words` arguments."""
    return importlib.import_module(f"hearless.recipes.{system}.settings").from_words(data, **words)
