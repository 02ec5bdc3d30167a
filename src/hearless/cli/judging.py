"""Commands that read finished runs: evaluate, compare, report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hearless.cli.options import Json, Runs, typed
from hearless.cli.tables import show


def evaluate(
    runs: Annotated[list[Path], typer.Argument(help="Run folders, or recipe folders with several folds and seeds.")],
    as_json: Json = False,
    out: Annotated[Path | None, typer.Option(help="Also save report.md, .csv and .json here.")] = None,
) -> None:
    """Show what runs scored on their test clips: overall, per fold, per class, with 95 % intervals."""
    from hearless import door

    report = door.results(runs, typed())
    show(report, as_json, breakdown=True)
    if out:
        report.save(out)


def compare(
    a: Annotated[Path, typer.Argument(help="A run or recipe folder.")],
    b: Annotated[Path, typer.Argument(help="Another, tested on the same clips.")],
    as_json: Json = False,
) -> None:
    """Say whether one run is better than another on the same clips: paired bootstrap over recordings, McNemar."""
    from hearless import door

    show(door.results([a, b], typed(), compare=True), as_json)


def report(
    named: Annotated[
        list[str], typer.Argument(metavar="RUN… | STUDY", help="Run or recipe folders, or studies (low_rate/table1).")
    ],
    out: Annotated[Path, typer.Option(help="The page.")] = Path("report.html"),
    root: Annotated[Path | None, typer.Option("--root", help="Folder of the recordings, to play them.")] = None,
    clips: Annotated[int, typer.Option(help="Clips of each sensor.")] = 3,
    runs: Runs = Path("runs"),
) -> None:
    """Write one HTML page that needs no network: tables, learning curves, confusions, clips as a sensor hears them."""
    from hearless.dossier import dossier

    made = dossier(named, out, runs=runs, root=root, n_clips=clips, command=typed())
    typer.echo(f"{made} written: open it in any browser.")
