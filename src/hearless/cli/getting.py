"""What there is, and how to get it: list, fetch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from hearless.cli.options import Json

RECIPES = "recipes and studies"
"""They are told one by one."""


def list_(as_json: Json = False) -> None:
    """Show every data set, capture, front end, classifier, objective, recipe, study and weights file."""
    from hearless import door

    found = door.contents()
    if as_json:
        typer.echo(json.dumps(found))
        return
    told = door.described()
    for shelf, names in found.items():
        if shelf != RECIPES:
            typer.echo(f"{shelf}: {', '.join(names) or '–'}")
    for kind, command in (("recipes", "train --method"), ("studies", "study")):
        typer.echo(f"\n{kind} (hearless {command} NAME):")
        for name, said in told[kind].items():
            typer.echo(f"  {name}: {said}")
    typer.echo("\nNext: hearless demo, or hearless train --labels meta.csv --root DIR --rate 1000 --method cssd")


def fetch(
    names: Annotated[list[str], typer.Argument(help="Weights (mn04, cnn14_16k …) or data sets (esc50).")],
    folder: Annotated[Path | None, typer.Option("--to", help="Where data sets go (default: data/NAME).")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Accept files whose checksum nobody published.")] = False,
) -> None:
    """Download weights or data sets and check that they arrived whole."""
    from hearless import door

    def confirm(question: str) -> bool:
        return yes or typer.confirm(question)

    for name in names:
        for path in door.fetch(name, folder, confirm=confirm, say=typer.echo):
            typer.echo(str(path))
