"""The command predict: sounds and level logs into scores, events and tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hearless.cli.listeners import is_exported, listener_of, model_of, scores_line, sounds_of
from hearless.cli.logs import (
    BandsHz,
    Columns,
    DbOffset,
    Interval,
    Mark,
    TimeColumn,
    Weighting,
    are_levels,
    flags_named,
    name_sources,
    reading_of,
)
from hearless.cli.options import Backbone, Device, InModelsPlace, Json, Paths
from hearless.cli.progress import progress_bar
from hearless.plural import plural

if TYPE_CHECKING:
    from hearless.predict import FilePrediction, Listener


def predict(
    paths: Paths,
    weights: InModelsPlace = None,
    backbone: Backbone = None,
    top: Annotated[int | None, typer.Option(help="Labels shown (default: 3 a file, 5 a row of a log).")] = None,
    windows: Annotated[bool, typer.Option("--windows", help="Scores of each window, not only of the file.")] = False,
    hop: Annotated[float | None, typer.Option(help="Seconds between windows.")] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write this CSV table.")] = None,
    as_json: Json = False,
    torch_device: Device = "cpu",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Write this table: .csv, .parquet, .selections.txt (Raven), .txt (Audacity labels); "
            "killed, the same command goes on.",
        ),
    ] = None,
    form: Annotated[
        str, typer.Option("--format", help="csv, parquet, raven or audacity, where the ending of --out does not tell.")
    ] = "",
    events: Annotated[
        bool, typer.Option("--events", help="From when to when each class is there (Raven and Audacity always).")
    ] = False,
    threshold: Annotated[
        float | None, typer.Option(help="Score from which a class is there (default: as fitted on validation clips).")
    ] = None,
    join: Annotated[float, typer.Option(help="Events of a class no further apart than these seconds are one.")] = 0.0,
    shortest: Annotated[float, typer.Option(help="Events shorter than these seconds are left out.")] = 0.0,
    every: Annotated[
        str | None, typer.Option(help="Level logs: mean scores over 1s, 10min, 1h … (default for long ones: 1min).")
    ] = None,
    only: Annotated[str, typer.Option(help="Level logs: these labels alone, as in 'Siren,Dog'.")] = "",
    db_offset: DbOffset = None,
    interval: Interval = "",
    columns: Columns = None,
    bands_hz: BandsHz = "",
    time_column: TimeColumn = None,
    weighting: Weighting = None,
    mark: Mark = False,
    picture: Annotated[Path | None, typer.Option(help="Level logs: draw sources by hour (needs --out).")] = None,
    day: Annotated[str, typer.Option(help="Level logs: the picture's day, as 2024-06-01 (default: all days).")] = "",
) -> None:
    """Name the sounds in files and folders; broken files are listed and the rest go on.

    MODEL may be an exported .onnx or .pte file.  A level log (CSV, TSV, Parquet, NPY or HDF5) becomes a table of
    sources over time.
    """
    from hearless import predict as predicting
    from hearless.interfaces import HearlessError

    sounds = sounds_of("predict", paths, weights)
    if csv and as_json:
        raise HearlessError("choose --csv FILE or --json.")
    if are_levels(sounds):
        if events or form or join or shortest or threshold is not None:
            raise HearlessError(
                "--events, --format, --threshold, --join and --shortest are for sounds, not level logs."
            )
        if not weights and is_exported(paths[0]):
            raise HearlessError(
                f"{paths[0]} hears sounds, got {sounds[0]}, which is no sound file; give WAV, FLAC, OGG or MP3. "
                "If it is a level log, name the run's folder in the exported file's place."
            )
        with flags_named():
            name_sources(
                model_of(paths, weights, backbone, torch_device), sounds[0], out or csv, picture, day, as_json,
                every="window" if windows else every, hop_s=hop, db_offset=db_offset, only=only,
                top=5 if top is None else top,
                **reading_of(interval, columns, bands_hz, time_column, weighting, mark),
            )  # fmt: skip
        return
    if picture or every or only:
        raise HearlessError(f"--picture, --every and --only are for level logs; {sounds[0]} is none.")
    if not out and (events or form or join or shortest):
        raise HearlessError("--events, --format, --join and --shortest are of a table; add --out FILE.")
    listener, name = listener_of(paths, weights, backbone, torch_device, threshold)
    listed = 3 if top is None else top
    if out:
        options = {"windows": windows, "hop_s": hop, "top": listed, "join_s": join, "shortest_s": shortest}
        _write_table(listener, name, sounds, out, form, as_json, events=events, **options)
        return
    broken: list[Path] = []
    said = _reported(predicting.predict(listener, sounds, hop_s=hop, top=listed, windows=windows), broken)
    if csv:
        predicting.write_csv(said, csv)
        typer.echo(f"{csv} written.")
    elif as_json:
        typer.echo(json.dumps([predicting.plain(one) for one in said], ensure_ascii=False))
    else:
        _print_scores(said, may_be_none=bool(listener.none_below or listener.thresholds))
    if broken:
        typer.echo(f"{plural(len(broken), 'file')} could not be read; the others are done.", err=True)
        raise typer.Exit(1)


def _write_table(
    listener: Listener, name: str, sounds: list[str], out: Path, form: str, as_json: bool, *, events: bool,
    **options: Any,
) -> None:  # fmt: skip
    """Write a table of sounds with a journal; files that could not be read are listed at the end, with exit code 1."""
    from hearless import batch, writing

    form = writing.format_of(out, form)
    wanted = batch.Wanted(events=events or form in ("raven", "audacity"), **options)
    with progress_bar("file") as bar:
        written = batch.write(
            listener, sounds, out, wanted, name=name, form=form, on_progress=lambda n, total, path: bar(n, total)
        )
    for _, error in written.broken:
        typer.echo(f"could not be read: {error}", err=True)
    if as_json:
        plain = {"table": str(out), "files": written.n_files, "heard": written.n_heard, "broken": dict(written.broken)}
        typer.echo(json.dumps(plain, ensure_ascii=False))
    else:
        known = written.n_files - written.n_heard
        before = f", {known} of them heard before" if known else ""
        typer.echo(f"{out} written: {plural(written.n_files, 'file')}{before}.")
    if written.broken:
        typer.echo(f"{plural(len(written.broken), 'file')} could not be read; the others are done.", err=True)
        raise typer.Exit(1)


def _reported(said: Iterator[FilePrediction], broken: list[Path]) -> Iterator[FilePrediction]:
    """Pass predictions on; a broken file is told on stderr and put into ``broken``."""
    for one in said:
        if one.error:
            broken.append(one.path)
            typer.echo(f"{one.path}: could not be read: {one.error}", err=True)
        yield one


def _print_scores(said: Iterator[FilePrediction], *, may_be_none: bool) -> None:
    """Print a line a file (and window); what no class is said of is none of these, where there is a rule for it."""

    def told(scores: dict[str, float], named: tuple[str, ...]) -> str:
        return scores_line(scores) if named or not may_be_none else f"none of these ({scores_line(scores)})"

    for one in (one for one in said if not one.error):
        typer.echo(f"{one.path}: {told(one.ranked(), one.named)}")
        for window in one.windows or []:
            said_of = told(one.ranked(window.scores), window.named)
            typer.echo(f"  {window.start_s:.1f}–{window.end_s:.1f} s: {said_of}")
