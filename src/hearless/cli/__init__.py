"""The command line: list, fetch, train, study, evaluate, compare, report, predict, levels, show, export, demo ….

A file holds a group of commands; all come together here.  Everything heavy is imported inside the commands, so that
``hearless --help`` answers at once.  Errors end in one sentence that says what to do, and exit code 1.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from typing import Any

import typer

from hearless.cli.deploying import budget, export
from hearless.cli.getting import fetch, list_
from hearless.cli.judging import compare, evaluate, report
from hearless.cli.listening import listen
from hearless.cli.predicting import predict
from hearless.cli.showing import levels, show
from hearless.cli.training import demo, study, train

COMMANDS: tuple[Callable[..., None], ...] = (
    list_, fetch, train, study, evaluate, compare, predict, listen, levels, show, export, budget, report, demo
)  # fmt: skip
"""In the order of ``hearless --help``."""

app = typer.Typer(
    help="Audio classifiers that need to hear less: train, distil, evaluate and use them at 250 Hz to 16 kHz.",
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
)  # fmt: skip


def _guarded(function: Callable[..., None]) -> Callable[..., None]:
    """Return a command whose errors end as one sentence on stderr."""

    @wraps(function)
    def guarded(*arguments: Any, **options: Any) -> None:
        from hearless.interfaces import HearlessError

        try:
            function(*arguments, **options)
        except BrokenPipeError:
            raise
        except (HearlessError, OSError) as error:
            typer.echo(f"hearless: {error}", err=True)
            raise typer.Exit(1) from error
        except KeyboardInterrupt:
            typer.echo("hearless: stopped; type the same command again to go on.", err=True)
            raise typer.Exit(130) from None

    return guarded


for _one in COMMANDS:
    app.command(_one.__name__.rstrip("_"))(_guarded(_one))


def main() -> None:
    """Run the command line."""
    # On busy cores, threads that wait actively for each other make training twenty times slower; set before torch.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    app()
