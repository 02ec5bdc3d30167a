"""What recipes name: captures, weights files, and their teachers' own recipes, folds and seeds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from hearless.interfaces import HearlessError
from hearless.pipeline import PipelineSpec
from hearless.recipe import Recipe
from hearless.spec import Spec, digest
from hearless.teachers import CrossFitted, Fused, Pretrained, Teacher, Trained


def run_name(fold: str, seed: int) -> str:
    """Return what a run's folder is called; a fold of several tables ("city/10") has a slash."""
    return f"fold{fold.replace('/', '_')}-seed{seed}"


def heard_name(view: PipelineSpec, side: str) -> str:
    """Return what a run's predictions of one side's clips through another view are called."""
    return f"{side}-{digest(view.to_json())}"


def captures(recipe: Recipe) -> list[Spec]:
    """Return the captures of the student and of every teacher, earlier generations included."""
    found = [recipe.student.capture]
    for one in _each(recipe.teacher):
        match one:
            case Trained(recipe=inner) | CrossFitted(recipe=inner):
                found += captures(as_recipe(inner))
            case Pretrained(pipeline=PipelineSpec() as pipeline):
                found.append(pipeline.capture)
    return found


def initials(recipe: Recipe) -> list[Pretrained]:
    """Return the weights files that a recipe and its teachers start from or teach with."""
    return list(dict.fromkeys(start.weights for start in starts(recipe)))


@dataclass(frozen=True)
class Start:
    """A weights file at the start of a training, or of a teacher that teaches as it is.

    Attributes:
        weights: the file.
        network: what takes it.
        recipe: whose clips and classes it is for.
        fresh_output: the file's output layer is left out, for its classes are others.
    """

    weights: Pretrained
    network: PipelineSpec
    recipe: Recipe
    fresh_output: bool


def starts(recipe: Recipe) -> list[Start]:
    """Return the weights files of a recipe and its teachers, each with the network that takes it."""
    found: list[Start] = []
    for one in (*_each(recipe.initial), *_each(recipe.teacher)):
        match one:
            case Pretrained() if one is recipe.initial:
                found.append(Start(one, recipe.student, recipe, has_fresh_output(recipe)))
            case Pretrained(pipeline=PipelineSpec() as network):
                found.append(Start(one, network, recipe, fresh_output=False))
            case Trained(recipe=inner) | CrossFitted(recipe=inner):
                found += starts(as_recipe(inner))
    return found


def has_fresh_output(recipe: Recipe) -> bool:
    """Say whether a weights file's classes are not the student's, so that its output layer is left out."""
    return recipe.student.head is None and not recipe.classes


def generations(recipe: Recipe) -> list[Recipe]:
    """Return a recipe and those of the runs that it starts from or learns from, earlier generations included."""
    found = [recipe]
    for one in (*_each(recipe.initial), *_each(recipe.teacher)):
        if isinstance(one, Trained | CrossFitted):
            found += generations(as_recipe(one.recipe))
    return list(dict.fromkeys(found))


def trained(recipe: Recipe) -> list[Trained]:
    """Return the runs that a recipe's own start from or learn from, but for the copies of cross-fitted teachers."""
    return [*trained_members(recipe.initial), *trained_members(recipe.teacher)]


def trained_members(teacher: Teacher | None) -> list[Trained]:
    """Return those of a teacher's members that are runs of their own, but for the copies of cross-fitted ones."""
    return [one for one in _each(teacher) if isinstance(one, Trained)]


def _each(teacher: Teacher | None) -> list[Teacher]:
    """Return a teacher's members, the last first; itself where it is not fused; none for None."""
    if isinstance(teacher, Fused):
        return [one for member in reversed(teacher.teachers) for one in _each(member)]
    return [] if teacher is None else [teacher]


def as_recipe(named: Any) -> Recipe:
    """Return what a teacher names, which must be a recipe."""
    if not isinstance(named, Recipe):
        raise HearlessError(f"a teacher's recipe must be a Recipe, got {type(named).__name__}.")
    return named


def recipe_of(teacher: Trained | CrossFitted) -> Recipe:
    """Return the recipe of a teacher that is trained."""
    return as_recipe(teacher.recipe)


def seed_of(teacher: Trained | CrossFitted, seed: int) -> int:
    """Return a teacher's seed: its own, or its student's."""
    return seed if teacher.seed is None else teacher.seed


def settled(teacher: Teacher, fold: str, seed: int) -> Teacher:
    """Return a teacher with the fold and the seed that it takes from its student."""
    match teacher:
        case Trained():
            return replace(teacher, fold=teacher.fold_beside(fold), seed=seed_of(teacher, seed))
        case CrossFitted():
            return replace(teacher, seed=seed_of(teacher, seed))
        case Fused():
            settled: Any = tuple(settled(one, fold, seed) for one in teacher.teachers)
            return replace(teacher, teachers=settled)
        case _:
            return teacher


def view_of(named: Any) -> str:
    """Name what a recipe's student hears: capture and front end."""
    student = as_recipe(named).student
    return digest([student.capture.to_json(), student.frontend.to_json()])


def selected(recipe: Recipe) -> str:
    """Return which checkpoint of a recipe's runs is kept."""
    return "last" if recipe.select == "last" else "best"
