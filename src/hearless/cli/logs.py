"""What predict does with a log of levels: sources over time, as a table or on the screen."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hearless.cli.listeners import aside, scores_line
from hearless.cli.progress import progress_bar
from hearless.plural import plural

if TYPE_CHECKING:
    from datetime import date

    from hearless.door import Model
    from hearless.levels import LevelLog
    from hearless.logs import LevelListener, Wanted

Interval = Annotated[
    str,
    typer.Option("--interval", help="Level logs: fast, slow or seconds between rows, if the table does not tell."),
]
Columns = Annotated[
    str | None, typer.Option("--columns", help="Level logs: what the bands' columns have in their names.")
]
BandsHz = Annotated[
    str,
    typer.Option("--bands-hz", help="Level logs without band names (NPY, HDF5): the columns' centres, 20,25 …."),
]
TimeColumn = Annotated[
    str | None,
    typer.Option("--time-column", help="Level logs: the column of time; '' goes without, row after row."),
]
Weighting = Annotated[
    str | None, typer.Option("--weighting", help="Level logs: A, if bands are A-weighted; Z, if not.")
]
Mark = Annotated[bool, typer.Option("--mark", help="Level logs: leave out rows that are wrong, and say so.")]
DbOffset = Annotated[
    float | None, typer.Option("--db-offset", help="Level logs: added to all levels (default: estimated, and told).")
]

_FLAGS = {
    r"interval_s\b": "--interval", r"time_column=''": "--time-column ''", r"time_column\b": "--time-column",
    r"columns_hz\b": "--bands-hz", r"columns='": "--columns '", r"weighting='([AZ])'": r"--weighting \1",
    r"on_error='mark'": "--mark", r"\bhop_s\b": "--hop", r"\bonly\b(?= must)": "--only",
    r"\bevery\b(?= must)": "--every",
}  # fmt: skip
"""What the arguments that a message names are called on the command line."""

_INTERVALS = {"fast": 0.125, "slow": 1.0, "": None}


def reading_of(
    interval: str, columns: str | None, bands_hz: str, time_column: str | None, weighting: str | None, mark: bool
) -> dict[str, Any]:
    """Return how a level table is read, as `hearless.levels.open_levels` takes it."""
    from hearless.interfaces import HearlessError

    try:
        centres = [float(word) for word in bands_hz.split(",")] if bands_hz else None
    except ValueError:
        raise HearlessError(f"--bands-hz must be numbers such as 20,25,31.5, got {bands_hz!r}.") from None
    return {
        "interval_s": interval_seconds(interval), "columns": columns, "columns_hz": centres,
        "time_column": time_column, "weighting": weighting, "on_error": "mark" if mark else "raise",
    }  # fmt: skip


@contextmanager
def flags_named() -> Iterator[None]:
    """Name options by their flags in what is said of a level log."""
    from hearless.interfaces import HearlessError

    try:
        yield
    except HearlessError as error:
        text = str(error)
        for argument, flag in _FLAGS.items():
            text = re.sub(argument, flag, text)
        raise HearlessError(text) from error


def are_levels(paths: list[str]) -> bool:
    """Say whether a level table is named; it stands alone."""
    from hearless.interfaces import HearlessError
    from hearless.levels import FORMATS

    tables = [path for path in paths if Path(path).suffix.lower() in FORMATS and not Path(path).is_dir()]
    if tables and len(paths) > 1:
        raise HearlessError(
            f"one level table at a time, and no sounds beside it, got {', '.join(paths)}; read several of one meter "
            "one after the other with the first one's offset: --db-offset."
        )
    return bool(tables)


def interval_seconds(interval: str) -> float | None:
    """Return the seconds of an interval by name or number."""
    from hearless.interfaces import HearlessError

    try:
        return _INTERVALS[interval] if interval in _INTERVALS else float(interval)
    except ValueError:
        raise HearlessError(f"--interval must be fast, slow or seconds, got {interval!r}.") from None


def name_sources(
    model: Model, log: str, out: Path | None, picture: Path | None, day: str, as_json: bool, **options: Any
) -> None:
    """Name the sources of a log: into a table with a journal, or on the screen."""
    from hearless import door, logs, pictures
    from hearless.interfaces import HearlessError

    if out is None:
        if picture:
            raise HearlessError("the picture is drawn from a table; add --out sources.csv.")
        _print_sources(*door.prepared(model, log, say=aside, **options), as_json)
        return
    with progress_bar("row") as bar:
        written = door.sources(model, log, out, say=aside, on_progress=bar, **options)
    drawn = picture and pictures.day(logs.by_hour(written.path, _date(day)), picture)
    if as_json:
        found = {"table": str(out), "rows": written.n_rows, "log_rows": written.n_log_rows, "notes": written.notes}
        typer.echo(json.dumps({**found, **({"picture": str(drawn)} if drawn else {})}))
        return
    typer.echo(f"{out} written: {plural(written.n_rows, 'row')} from {plural(written.n_log_rows, 'row')} of levels.")
    for rule, n_rows in written.notes.items():
        told = plural(n_rows, "gap") if rule == "gap" else f"{rule}: {plural(n_rows, 'row')}"
        typer.echo(f"- {told} of the log")
    again = f"the same command with --picture {shlex.quote(str(out.with_suffix('.png')))}"
    typer.echo(f"The picture: {drawn}" if drawn else f"Next: see which hour has which sources: {again}")


def _date(day: str) -> date | None:
    from datetime import date

    from hearless.interfaces import HearlessError

    try:
        return date.fromisoformat(day) if day else None
    except ValueError:
        raise HearlessError(f"--day must be such as 2024-06-01, got {day!r}.") from None


def _print_sources(log: LevelLog, listener: LevelListener, wanted: Wanted, as_json: bool) -> None:
    """Print a line a stretch, or a JSON object a line."""
    from hearless import logs

    for done, _ in logs.sources(log, listener, wanted):
        for stretch in done:
            rows = logs.rows_of(stretch, log.table, listener.labels, wanted)
            start, end, _, _, missing = rows[0]
            scores = {label: float(score) for _, _, label, score, _ in rows if label}
            if as_json:
                typer.echo(json.dumps({"start": start, "end": end, "scores": scores, "missing": float(missing)}))
                continue
            share = f" ({stretch.missing:.0%} missing)" if scores and stretch.missing else ""
            typer.echo(f"{start} – {end}: {scores_line(scores) or 'no levels'}{share}")
