"""What several commands take: their options, and the words that a user types behind them."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

Labels = Annotated[
    list[Path] | None, typer.Option("--labels", help="CSV table of your clips: path, label, …; repeatable.")
]
Root = Annotated[Path | None, typer.Option("--root", help="Folder of the sounds (default: beside the table).")]
DatasetName = Annotated[
    str | None, typer.Option("--dataset", help="A known data set instead, such as synthetic or esc50.")
]
Map = Annotated[
    list[str] | None,
    typer.Option("--map", help="A column's name, as in label=category, or n_folds=10 and the like; repeatable."),
]
Weights = Annotated[str | None, typer.Option("--weights", help="Local weights file, or 'none' for random weights.")]
Runs = Annotated[Path, typer.Option("--runs", help="Folder of all runs.")]
Device = Annotated[str, typer.Option("--torch-device", help="cpu, cuda, mps …")]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="A setting, as in epochs=30 or batch_size=16; repeatable.")
]
Paths = Annotated[
    list[str], typer.Argument(help="MODEL (a run folder; left out with --weights), then files and folders.")
]
InModelsPlace = Annotated[Path | None, typer.Option("--weights", help="A published weights file in MODEL's place.")]
Backbone = Annotated[str | None, typer.Option("--backbone", help="Its name, where its shapes fit several.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]

OWN_OPTIONS = (
    "labels", "root", "dataset", "map", "mapping", "rate", "rates", "method", "backbone", "backbones", "weights",
    "fold", "folds", "seed", "seeds", "runs", "name", "dataset_name", "lab", "command", "torch_device",
)  # fmt: skip
"""What --set may not name: each has an option of its own."""


def by_name(pairs: list[str] | None) -> dict[str, str]:
    """Return what stands in pairs ``name=value``."""
    from hearless.interfaces import HearlessError

    found = dict(pair.partition("=")[::2] for pair in pairs or [])
    if wrong := [pair for pair in pairs or [] if "=" not in pair or pair.startswith("=")]:
        raise HearlessError(f"settings and columns are name=value, got {', '.join(wrong)}.")
    return found


def settings_of(pairs: list[str] | None) -> dict[str, str]:
    """Return the settings of ``--set``; none has an option of its own."""
    from hearless.interfaces import HearlessError

    found = by_name(pairs)
    if wrong := [name for name in found if name in OWN_OPTIONS]:
        raise HearlessError(f"--set {wrong[0]}=…: that has an option of its own; hearless COMMAND --help lists them.")
    return found


def parted(text: str) -> list[str]:
    """Return the words of ``1,2``; none for an empty text or ``all``."""
    return [] if text in ("", "all") else [word.strip() for word in text.split(",")]


def whole_numbers(name: str, text: str) -> list[int]:
    """Return the numbers of ``1,2`` behind an option."""
    from hearless.interfaces import HearlessError

    if wrong := [word for word in parted(text) if not word.isdecimal()]:
        raise HearlessError(f"--{name} must be whole numbers parted by commas, got {', '.join(wrong)!r}.")
    return [int(word) for word in parted(text)]


def typed() -> str:
    """Return the command as it was typed."""
    return shlex.join(["hearless", *sys.argv[1:]])
