"""What predict does with a log of levels: sources over time, as a table or on the screen."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from hearless.cli.listeners import aside, scores_line
from hearless.cli.progress import progress_bar
from hearless.plural import plural

if TYPE_CHECKING:
    from datetime import date

    from hearless.door import Model
    from hearless.levels import LevelLog
    from hearless.logs import LevelListener, Wanted

_INTERVALS = {"fast": 0.125, "slow": 1.0, "": None}


def are_levels(paths: list[str]) -> bool:
    """Say whether a level table is named; it stands alone."""
    from hearless.interfaces import HearlessError
    from hearless.levels import FORMATS

    tables = [path for path in paths if Path(path).suffix.lower() in FORMATS and not Path(path).is_dir()]
    if tables and len(paths) > 1:
        raise HearlessError(f"one level table at a time, and no sounds beside it, got {', '.join(paths)}.")
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
        typer.echo(f"- {rule}: {plural(n_rows, 'row')} of the log")
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
