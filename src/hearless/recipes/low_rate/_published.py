"""Paper 000's numbers beside ours: of ESC-50, TAU 2019 Mobile, or its authors' own recordings in homes."""

from __future__ import annotations

from typing import Any

from hearless.interfaces import HearlessError
from hearless.recipes._shared import published_rows
from hearless.recipes.low_rate.settings import Settings

DATA = {
    "esc50": ("ESC-50", "the whole ESC-50"), "tau2019_mobile": ("TAU-2019-Mobile", "TAU 2019 Mobile"),
    "user": ("User", "8.9 hours of 16 activities in homes"),
}  # fmt: skip
"""What `Settings.like` may be: the name in the paper's tables, and in ours."""

PAPER_NAME = {"cnn14": "CNN14", "cnn14_16k": "CNN14", "resnet38": "ResNet38", "mobilenetv2": "MobileNetV2"}


def beside(table: str, settings: Settings, **where: str) -> dict[str, Any]:
    """Return what a `Row` says of the paper's numbers: of its own network first, else of MobileNetV2.

    The authors' own recordings are judged by macro F1, which stands in a column of its own.

    Args:
        table: ``"paper_000_table1"`` or ``"paper_000_ablations"``.
        settings: its ``like`` says whose recordings; its backbone, which network.
        where: the values wanted, by the table's columns.

    Raises:
        HearlessError: an unknown ``like``.
    """
    name, data = DATA[_like(settings)]
    lines = published_rows("low_rate", table, dataset=name, **where)
    first = PAPER_NAME.get(settings.backbone.name, "MobileNetV2")
    found = {line["model"]: float(line["value"]) for line in sorted(lines, key=lambda line: line["model"] != first)}
    if name == "User":
        return {"published_more": {"macro_f1": next(iter(found.values()))}} if found else {}
    return {"published": {f"paper 000, {model} on {data}": value for model, value in found.items()}}


def _like(settings: Settings) -> str:
    like = settings.like or ("tau2019_mobile" if settings.dataset.name == "TAU2019Mobile" else "esc50")
    if like not in DATA:
        raise HearlessError(f"like must be one of {', '.join(DATA)}, got {like!r}.")
    return like


def said(settings: Settings) -> tuple[str, ...]:
    """Return the note of a table beside which the paper's macro F1 stands."""
    name, data = DATA[_like(settings)]
    model = PAPER_NAME.get(settings.backbone.name, "MobileNetV2")
    return (f"The paper's macro F1: paper 000, {model} on {data}.",) if name == "User" else ()
