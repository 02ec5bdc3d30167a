"""What the tables of paper 004 share: one size at a time, what a network weighs, the published numbers, the notes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache

import torch

from hearless.captures.simulated_device import DEVICES
from hearless.classifiers.ds_flexinet import DSFlexiNet
from hearless.complexity import Complexity, complexity
from hearless.datasets.simulated_devices import SEEN, UNSEEN
from hearless.interfaces import HearlessError
from hearless.recipe import Recipe
from hearless.recipes._shared import published_rows, the_one
from hearless.recipes.ds_flexinet.settings import Settings
from hearless.study import Row, Study

BACKBONES = ("sm2",)
DATA = "TAU2022Mobile"
"""The paper's data set."""

FEATURES = (1, 1, 256, 64)
"""What one second is to a student."""

HOW = {"none": "no teacher", "mean": "averaged teachers", "fitted": "fused teachers"}


def one(each: Sequence[Settings], rates: Sequence[int]) -> Settings:
    """Return the one size's settings of a study of this folder.

    Raises:
        HearlessError: several sizes, or rates.
    """
    settings = the_one(each, "studies of paper 004 take one size at a time")
    if rates:
        raise HearlessError(f"paper 004 hears one rate, got rates {list(rates)}; see --set rate_hz=16000.")
    return settings


def tested(settings: Settings, folds: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Return the corpus' tested fold, and the fold of the data set with devices.

    Raises:
        HearlessError: several folds of a corpus whose devices are simulated.
    """
    if not settings.simulated:
        return "", tuple(folds)
    if len(folds) > 1:
        raise HearlessError(f"simulated devices take one tested fold at a time, got {', '.join(folds)}.")
    return (folds[0] if folds else settings.fold), ()


@cache
def counted(size: str, norm: str, n_classes: int) -> Complexity:
    """Count a student's parameters and multiply-accumulates of one second as the paper does."""
    return complexity(DSFlexiNet(n_classes=n_classes, size=size, norm=norm), torch.zeros(FEATURES))


def cost(settings: Settings, precision: str, n_classes: int) -> dict[str, str]:
    """Return the columns of what a student of so many classes costs."""
    found = counted(settings.size, settings.norm, n_classes)
    return {
        "size": settings.size, "precision": precision, "parameters": f"{found.parameters / 1000:.2f} K",
        "MACs": f"{found.macs / 1e6:.2f} M", "weights": f"{found.n_bytes(precision) / 1000:.1f} KB",
    }  # fmt: skip


def printed(table: str, **where: str) -> dict[str, str]:
    """Return the row of a published table whose columns hold these values; empty where there is none."""
    rows = published_rows("ds_flexinet", f"paper_004_{table}", **where)
    return rows[0] if rows else {}


def share(percent: str) -> float:
    """Return a percentage as a fraction."""
    return round(float(percent) / 100, 6)


def by_device(row: dict[str, str]) -> dict[str, float]:
    """Return a published row's means over seen and unseen devices."""
    if not row:
        return {}
    sides = {"seen_devices": ("A", "B", "C", "S1", "S2", "S3"), "unseen_devices": ("S4", "S5", "S6")}
    return {name: round(sum(share(row[d]) for d in devices) / len(devices), 6) for name, devices in sides.items()}


def made(
    label: str, condition: dict[str, str], recipe: Recipe, paper: dict[str, str], column: str = "ACC", name: str = "",
    seeds: tuple[int, ...] | None = None, counted: Callable[[int], Mapping[str, str]] | None = None,
) -> Row:  # fmt: skip
    """Return a row with the paper's accuracy beside, and its means over devices where it prints them."""
    told = {f"paper 004, {name or label} on TAU 2022 Mobile": share(paper[column])} if paper else {}
    more = by_device(paper) if "S6" in paper else {}
    return Row(label, condition, (recipe,), published=told, published_more=more, seeds=seeds, counted=counted)


def table(
    name: str, title: str, rows: Iterable[Row], compare: Iterable[tuple[str, str]], settings: Settings, *,
    folds: tuple[str, ...], seeds: tuple[int, ...], task: str,
) -> Study:  # fmt: skip
    """Return a table of the paper, or the rows of it that the settings ask for.

    Raises:
        HearlessError: a row is asked for that is not there.
    """
    known = {row.label: row for row in rows}
    asked = [label.strip() for label in settings.rows.split(";") if label.strip()]
    if unknown := [label for label in asked if label not in known]:
        raise HearlessError(f"rows must be among {'; '.join(known)}, got {'; '.join(unknown)}.")
    wanted = tuple(row for label, row in known.items() if label in asked or not asked)
    labels = {row.label for row in wanted}
    return Study(
        name=f"ds_flexinet/{name}", title=title, task=task, rows=wanted, seeds=seeds, folds=folds,
        compare=tuple(pair for pair in compare if {*pair} <= labels), notes=tuple(notes(settings)),
    )  # fmt: skip


def notes(settings: Settings) -> list[str]:
    """Say what the devices are and what is judged."""
    said = []
    if settings.simulated:
        trained = settings.training_folds or "all others"
        said.append(
            f"Simulated devices: {100 * settings.share:g} % of the training pieces ({settings.piece_s:g} s, folds "
            f"{trained}) are of each of {', '.join(SEEN)}, the rest of a; every test piece is heard through all seven; "
            f"{', '.join(UNSEEN)} are never trained.  {', '.join(DEVICES)} are {settings.devices.replace(',', ', ')}."
        )
    if settings.average_last:
        said.append(f"Accuracies are means over the last {settings.average_last} epochs, as in the paper.")
    return said
