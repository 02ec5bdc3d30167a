"""A study of rates and methods against the same trainings, each run by itself.

A study decodes once and trains each teacher once for all who ask for it; by itself each row decodes its own sound and
trains its own teachers, as a script for each experiment does.  One epoch of mn04 from random weights; α and T are not
searched.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from measure import Row, faster
from training import recordings

from hearless.datasets.folder_labels import FolderLabels
from hearless.lab import Lab
from hearless.recipes.low_rate.settings import from_words
from hearless.recipes.low_rate.table1 import rows as table_rows
from hearless.spec import spec
from hearless.study import Study

RATES_HZ = (1000, 2000, 4000)
ONE_SETTING = ((0.5, 4.0),)


def rows(folder: Path, repeats: int, n_clips: int, clip_s: float = 5.0) -> Iterator[Row]:
    """Measure the whole study, from sound to table."""
    recordings(folder / "sounds", n_clips, clip_s)
    whole = study()
    alone = [replace(whole, rows=(row,), compare=()) for row in whole.rows]
    together, apart = list[float](), list[float]()
    for repeat in range(repeats):
        together.append(seconds(folder, f"together{repeat}", [whole]))
        apart.append(sum(seconds(folder, f"apart{repeat}-{i}", [one]) for i, one in enumerate(alone)))
    what = f"a study of {len(whole.rows)} rows (three rates × four methods, 16 kHz) / each row by itself, s"
    yield faster(what, together, apart, aim="≥ 2")


def study() -> Study:
    """Return raw, fine-tuned, BASD and CSSD at each rate, and the 16 kHz generation."""
    settings = from_words(spec(FolderLabels, n_folds=2), backbone="mn04", weights="none", epochs=1, stored_draws=1)
    made = tuple(table_rows(settings, RATES_HZ, ONE_SETTING, "", None))
    return Study(name="low_rate/rates", title="Rates and methods", task="noise", rows=made, folds=("1",))


def seconds(folder: Path, name: str, studies: list[Study]) -> float:
    """Return how long studies take that find nothing: no runs, no decoded sound."""
    with cache(folder / name / "cache"):
        began = time.perf_counter()
        for one in studies:
            Lab(folder / name / "runs", folder / "sounds").study(one)
        return time.perf_counter() - began


@contextmanager
def cache(folder: Path) -> Iterator[None]:
    """Let decoded sound lie in a folder of its own."""
    before = os.environ.get("HEARLESS_CACHE")
    os.environ["HEARLESS_CACHE"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["HEARLESS_CACHE"]
        else:
            os.environ["HEARLESS_CACHE"] = before
