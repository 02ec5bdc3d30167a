"""The Python door: train, load, predict, show and list in a few lines; the command line goes through it too."""

from __future__ import annotations

from hearless.door.comparing import results, results_of
from hearless.door.data import Tables, contents, dataset, fetch
from hearless.door.deploying import budget, export
from hearless.door.level_logs import levels, prepared, sources
from hearless.door.model import TRANSCODER, Model, Say
from hearless.door.models import Listening, finished, load, load_weights, predict
from hearless.door.recipes import described, is_analysis, meant, recipe_module, recipe_names, settings, study_names
from hearless.door.showing import picture, resynthesise, show, show_together
from hearless.door.shown import Shown, Together
from hearless.door.training import study, train

__all__ = [
    "TRANSCODER",
    "Listening",
    "Model",
    "Say",
    "Shown",
    "Tables",
    "Together",
    "budget",
    "contents",
    "dataset",
    "described",
    "export",
    "fetch",
    "finished",
    "is_analysis",
    "levels",
    "load",
    "load_weights",
    "meant",
    "picture",
    "predict",
    "prepared",
    "recipe_module",
    "recipe_names",
    "results",
    "results_of",
    "resynthesise",
    "settings",
    "show",
    "show_together",
    "sources",
    "study",
    "study_names",
    "train",
]
