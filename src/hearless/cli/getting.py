"""What there is, and how to get it: list, fetch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from hearless.cli.options import Json


def list_(as_json: Json = False) -> None:
    """Show every data set, capture, front end, classifier, objective, recipe, study and weights file."""
    from hearless import door

    found = door.contents()
    if as_json:
        typer.echo(json.dumps(found))
        return
    for shelf, names in found.items():
        typer.echo(f"{shelf}: {', '.join(names) or '–'}")
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
