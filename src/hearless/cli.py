"""The command line: list, fetch, train, study, evaluate, compare, report, predict, levels, show, export, demo ….

Everything heavy is imported inside the commands, so that ``hearless --help`` answers at once.  Errors end in one
sentence that says what to do, and exit code 1.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from datetime import date

    from rich.progress import TaskID

    from hearless.deploy import Budget, Exported
    from hearless.door import Model
    from hearless.lab import Lab
    from hearless.levels import LevelLog
    from hearless.listen import Decision
    from hearless.logs import LevelListener, Wanted
    from hearless.predict import FilePrediction, Listener
    from hearless.report import Report
    from hearless.train import Tick

app = typer.Typer(
    help="Audio classifiers that need to hear less: train, distil, evaluate and use them at 250 Hz to 16 kHz.",
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
)  # fmt: skip

Command = TypeVar("Command", bound=Callable[..., Any])

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

_LAYERS = 15
"""Layers that a budget lists."""

_INTERVALS = {"fast": 0.125, "slow": 1.0, "": None}

OWN_OPTIONS = (
    "labels", "root", "dataset", "map", "mapping", "rate", "rates", "method", "backbone", "backbones", "weights",
    "fold", "folds", "seed", "seeds", "runs", "name", "dataset_name", "lab", "command", "torch_device",
)  # fmt: skip
"""What --set may not name: each has an option of its own."""

TRUST = {
    "temperature": "temperature",
    "ece_raw": "calibration error before (%)", "ece": "calibration error, calibrated (%)",
    "log_loss_raw": "log loss before (nats)", "log_loss": "log loss, calibrated (nats)",
    "none_below": "none of these below (%)", "named": "test clips given a class (%)",
    "noise_named": "noise given a class (%)",
}  # fmt: skip
"""What `hearless evaluate` says of how far scores can be trusted: a report's measures and their words."""


def _command(function: Command) -> Command:
    """Register a command whose errors end as one sentence on stderr."""

    @wraps(function)
    def guarded(*arguments: Any, **options: Any) -> Any:
        from hearless.interfaces import HearlessError

        try:
            return function(*arguments, **options)
        except BrokenPipeError:
            raise
        except (HearlessError, OSError) as error:
            typer.echo(f"hearless: {error}", err=True)
            raise typer.Exit(1) from error
        except KeyboardInterrupt:
            typer.echo("hearless: stopped; type the same command again to go on.", err=True)
            raise typer.Exit(130) from None

    app.command(function.__name__.rstrip("_"))(guarded)
    return function


def _words(pairs: list[str] | None) -> dict[str, str]:
    from hearless.interfaces import HearlessError

    found = dict(pair.partition("=")[::2] for pair in pairs or [])
    if wrong := [pair for pair in pairs or [] if "=" not in pair or pair.startswith("=")]:
        raise HearlessError(f"settings and columns are name=value, got {', '.join(wrong)}.")
    return found


def _settings(pairs: list[str] | None) -> dict[str, str]:
    from hearless.interfaces import HearlessError

    found = _words(pairs)
    if wrong := [name for name in found if name in OWN_OPTIONS]:
        raise HearlessError(f"--set {wrong[0]}=…: that has an option of its own; hearless COMMAND --help lists them.")
    return found


def _list(text: str) -> list[str]:
    """Return the words of ``1,2``; none for an empty text or ``all``."""
    return [] if text in ("", "all") else [word.strip() for word in text.split(",")]


def _numbers(name: str, text: str) -> list[int]:
    from hearless.interfaces import HearlessError

    if wrong := [word for word in _list(text) if not word.isdecimal()]:
        raise HearlessError(f"--{name} must be whole numbers parted by commas, got {', '.join(wrong)!r}.")
    return [int(word) for word in _list(text)]


@contextmanager
def _lab(runs: Path, root: Path, torch_device: str) -> Iterator[Lab]:
    """Yield a lab that shows decoding and training as progress bars on stderr."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from hearless.lab import Lab

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"), BarColumn(10), TextColumn("{task.percentage:.0f} %"),
        TimeRemainingColumn(compact=True), TextColumn("{task.fields[words]}"),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        tasks: dict[str, TaskID] = {}

        def task(name: str, total: int) -> TaskID:
            if name not in tasks:
                for old in tasks.values():
                    bars.remove_task(old)
                tasks.clear()
                tasks[name] = bars.add_task(name.rpartition("/")[2], total=total, words="")
            return tasks[name]

        def tick(name: str, at: Tick) -> None:
            done = (at.epoch - 1) * at.n_clips + at.clips
            words = f"epoch {at.epoch}/{at.n_epochs}, {at.clips_per_s:.0f} clips/s, loss {at.metrics['loss']:.3f}"
            bars.update(task(name, at.n_epochs * at.n_clips), completed=done, words=words)

        def decoding(done: int, total: int) -> None:
            bars.update(task("decoding", total), completed=done)

        def say(text: str) -> None:
            console.print(text, markup=False, highlight=False, soft_wrap=True)

        yield Lab(runs, root, torch_device=torch_device, say=say, tick=tick, decoding=decoding)


def _typed() -> str:
    """Return the command as it was typed."""
    return shlex.join(["hearless", *sys.argv[1:]])


def _show(report: Report, as_json: bool = False, *, breakdown: bool = False) -> None:
    """Print a report as JSON, or as tables that fit a terminal; conditions that its labels tell are left out."""
    if as_json:
        typer.echo(json.dumps(report.to_json(), ensure_ascii=False))
        return
    head, cells = report.header(), report.cells()
    told = [i for i, name in enumerate(report.conditions, 1) if _is_told(name, report)]
    _print_table(report.title, *([part for i, part in enumerate(line) if i not in told] for line in (head, *cells)))
    shared = [f"{n.capitalize()}: {report.rows[0].condition[n]}." for n in report.conditions if _is_shared(n, report)]
    typer.echo(" ".join([report.task, *shared]))
    if breakdown:
        _break_down(report)
    lines = [test.words for test in report.tests]
    lines += [f"missing: {row.label}: {row.hole}" for row in report.rows if row.hole]
    for line in lines:
        typer.echo(f"- {line}")


def _is_told(condition: str, report: Report) -> bool:
    """Say whether a column can be left out: all rows share its value, or most labels say it."""
    said = [str(row.condition.get(condition, "")).lower() in row.label.lower() for row in report.rows]
    return _is_shared(condition, report) or 2 * sum(said) >= len(said)


def _is_shared(condition: str, report: Report) -> bool:
    return len({row.condition.get(condition) for row in report.rows}) == 1


def _break_down(report: Report) -> None:
    """Print the first measure per fold, device and class, a column a row of the report."""
    from hearless.report import KINDS, show

    names = [row.label for row in report.rows]
    unit = report.unit(report.columns[0])
    for kind in KINDS:
        parts = [row.part(kind) for row in report.rows]
        keys = dict.fromkeys(key for part in parts for key in part)
        if kind == "device" and not keys:
            continue
        lines = [[key, *(show(part.get(key), unit) for part in parts)] for key in keys]
        _print_table(f"{report.columns[0]} ({unit}) per {kind}", [kind, *names], *lines)
    _tell_trust(report)


def _tell_trust(report: Report) -> None:
    """Print how far scores can be trusted, a column a row of the report, where something was fitted."""
    from hearless.report import show

    told = [name for name in TRUST if any(name in row.metrics for row in report.rows)]
    lines = [[TRUST[one], *(show(row.metrics.get(one), report.unit(one)) for row in report.rows)] for one in told]
    if lines:
        _print_table("how far scores can be trusted", ["", *(row.label for row in report.rows)], *lines)


def _print_table(title: str, head: list[str], *lines: list[str]) -> None:
    """Print a table; headings and the first column wrap where the terminal is narrow, numbers never."""
    from textwrap import fill

    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column(Text(head[0]), overflow="fold")
    widths = [max(8, *(len(cells[i]) for cells in lines)) for i in range(1, len(head))]
    for name, width in zip(head[1:], widths, strict=True):
        table.add_column(Text(fill(name, width, break_long_words=False)), justify="right", no_wrap=True)
    for cells in lines:
        table.add_row(*map(Text, cells))
    longest = [max(width, *map(len, name.split() or [""])) for name, width in zip(head[1:], widths, strict=True)]
    console = Console()  # rather wider than the terminal than a number cut off
    Console(width=max(console.width, 12 + sum(longest) + 3 * len(head))).print(table)


@_command
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


@_command
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


@_command
def train(
    labels: Labels = None, root: Root = None, dataset: DatasetName = None, mapping: Map = None,
    rate: Annotated[int, typer.Option(help="What the sensor samples at, in Hz (250 or more).")] = 1000,
    method: Annotated[
        str, typer.Option(help="cssd, basd, fine_tuned, full_band (16 kHz), or a recipe: spectral_transcoder/light …")
    ] = "cssd",
    backbone: Annotated[str, typer.Option(help="Network: mn04, cnn14_16k, resnet38, mobilenetv2, mn02 …")] = "mn04",
    weights: Weights = None,
    folds: Annotated[str, typer.Option(help="Folds to test on: 1, or 1,2, or all. Default: the first.")] = "",
    seed: Annotated[int, typer.Option(help="Seed of every random draw.")] = 0,
    runs: Runs = Path("runs"), torch_device: Device = "cpu", settings: Set = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Train a classifier on your own clips for a low-rate sensor."""
    from hearless import door

    data, folder = door.dataset(dataset, labels, root, _words(mapping))
    with _lab(runs, folder, torch_device) as lab:
        known, wanted = lab.folds(data), lab.folds(data, _list(folds))
        made = [
            door.train(
                labels=labels, root=root, name=dataset, mapping=_words(mapping), rate=rate, method=method,
                backbone=backbone, weights=weights, fold=fold, seed=seed, lab=lab, **_settings(settings),
            )
            for fold in (wanted if folds else wanted[:1])
        ]  # fmt: skip
    report = door.results([made[0].path.parent if len(made) > 1 else made[0].path], _typed())
    if as_json:
        typer.echo(json.dumps({"runs": [str(run.path) for run in made], "report": report.to_json()}))
        return
    _show(report)
    first = shlex.quote(str(made[0].path))
    typer.echo(f"\nThe model: {first}\n\nNext")
    if made[0].measured.get("median_db"):
        typer.echo(f"- name the sources in a log of levels: hearless predict {first} LOG.csv --out sources.csv")
    typer.echo(f"- name the sounds in other files: hearless predict {first} MY_SOUNDS/ --csv sounds.csv")
    typer.echo(f"- see each fold and class: hearless evaluate {first}")
    typer.echo(f"- put it on a device: hearless export {first} --to onnx --int8 --root {shlex.quote(str(folder))}")
    if len(made) < len(known):
        typer.echo("- test every fold in turn: the same command with --folds all")
    if method in ("cssd", "basd"):
        typer.echo("- did the teacher help? The same command with --method fine_tuned, then hearless compare A B")


@_command
def study(
    name: Annotated[str, typer.Argument(help="Such as low_rate/table1; hearless list names them.")],
    labels: Labels = None, root: Root = None, dataset: DatasetName = None, mapping: Map = None,
    backbone: Annotated[list[str] | None, typer.Option(help="Network; repeatable. Default: the paper's.")] = None,
    weights: Weights = None,
    folds: Annotated[str, typer.Option(help="Such as 1,2. Default: all.")] = "",
    seeds: Annotated[str, typer.Option(help="Such as 0,1,2.")] = "0",
    rates: Annotated[str, typer.Option(help="Such as 1000,2000. Default: the study's.")] = "",
    runs: Runs = Path("runs"),
    out: Annotated[Path | None, typer.Option(help="Folder of the table (default: RUNS/studies/NAME).")] = None,
    torch_device: Device = "cpu", settings: Set = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Run every row of a study and print its table; killed, it resumes where it stopped."""
    from hearless import door
    from hearless.pictures import bars

    own = labels or root or dataset
    _, folder = door.dataset(dataset, labels, root, _words(mapping)) if own else door.dataset("esc50")
    place = out or runs / "studies" / name
    with _lab(runs, folder, torch_device) as lab:
        report = door.study(
            name, lab=lab, labels=labels, root=root, dataset_name=dataset, mapping=_words(mapping),
            backbones=backbone or [], weights=weights, folds=_list(folds),
            seeds=_numbers("seeds", seeds) or [0], rates=_numbers("rates", rates), place=place, command=_typed(),
            **_settings(settings),
        )  # fmt: skip
    report.save(place)
    if not door.is_analysis(name):
        bars(report, place / "bars.png")
    _show(report, as_json)
    if not as_json:
        for note in report.notes if door.is_analysis(name) else ():
            typer.echo(f"- {note}")
        pictures = ", ".join(str(path) for path in sorted(place.glob("*.png")))
        typer.echo(f"\nThe whole table: {place / 'report.md'} (and .csv, .json); pictures: {pictures}")
    if any(row.hole for row in report.rows):
        raise typer.Exit(1)


@_command
def evaluate(
    runs: Annotated[list[Path], typer.Argument(help="Run folders, or recipe folders with several folds and seeds.")],
    as_json: Json = False,
    out: Annotated[Path | None, typer.Option(help="Also save report.md, .csv and .json here.")] = None,
) -> None:
    """Show what runs scored on their test clips: overall, per fold, per class, with 95 % intervals."""
    from hearless import door

    report = door.results(runs, _typed())
    _show(report, as_json, breakdown=True)
    if out:
        report.save(out)


@_command
def compare(
    a: Annotated[Path, typer.Argument(help="A run or recipe folder.")],
    b: Annotated[Path, typer.Argument(help="Another, tested on the same clips.")],
    as_json: Json = False,
) -> None:
    """Say whether one run is better than another on the same clips: paired bootstrap over recordings, McNemar."""
    from hearless import door

    _show(door.results([a, b], _typed(), compare=True), as_json)


@_command
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
    db_offset: Annotated[
        float | None, typer.Option(help="Level logs: added to all levels (default: estimated, and told).")
    ] = None,
    interval: Annotated[
        str, typer.Option(help="Level logs: fast, slow or seconds between rows, where the table does not tell.")
    ] = "",
    columns: Annotated[
        str | None, typer.Option(help="Level logs: what the bands' columns have in their names.")
    ] = None,
    weighting: Annotated[str | None, typer.Option(help="Level logs: A, if bands are A-weighted; Z, if not.")] = None,
    mark: Annotated[
        bool, typer.Option("--mark", help="Level logs: leave out rows that are wrong, and say so.")
    ] = False,
    picture: Annotated[Path | None, typer.Option(help="Level logs: draw sources by hour (needs --out).")] = None,
    day: Annotated[str, typer.Option(help="Level logs: the picture's day, as 2024-06-01 (default: all days).")] = "",
) -> None:
    """Name the sounds in files and folders; broken files are listed and the rest go on.

    MODEL may be an exported .onnx or .pte file.  A level log (CSV, TSV, Parquet, NPY or HDF5) becomes a table of
    sources over time.
    """
    from hearless import predict as predicting
    from hearless.interfaces import HearlessError

    sounds = _sounds("predict", paths, weights)
    if csv and as_json:
        raise HearlessError("choose --csv FILE or --json.")
    if _are_levels(sounds):
        _name_sources(
            _model(paths, weights, backbone, torch_device), sounds[0], out or csv, picture, day, as_json,
            every="window" if windows else every, hop_s=hop, db_offset=db_offset, only=only,
            top=5 if top is None else top, interval_s=_seconds(interval), columns=columns, weighting=weighting,
            on_error="mark" if mark else "raise",
        )  # fmt: skip
        return
    if picture or every or only:
        raise HearlessError(f"--picture, --every and --only are for level logs; {sounds[0]} is none.")
    if not out and (events or form or join or shortest):
        raise HearlessError("--events, --format, --join and --shortest are of a table; add --out FILE.")
    listener, name = _listener(paths, weights, backbone, torch_device, threshold)
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
        typer.echo(f"{len(broken)} files could not be read; the others are done.", err=True)
        raise typer.Exit(1)


def _write_table(
    listener: Listener, name: str, sounds: list[str], out: Path, form: str, as_json: bool, *, events: bool,
    **options: Any,
) -> None:  # fmt: skip
    """Write a table of sounds with a journal; files that could not be read are listed at the end, with exit code 1."""
    from hearless import batch, writing

    form = writing.format_of(out, form)
    wanted = batch.Wanted(events=events or form in ("raven", "audacity"), **options)
    with _bar("file") as bar:
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
        typer.echo(f"{out} written: {written.n_files} files{f', {known} of them heard before' if known else ''}.")
    if written.broken:
        typer.echo(f"{len(written.broken)} files could not be read; the others are done.", err=True)
        raise typer.Exit(1)


def _are_levels(paths: list[str]) -> bool:
    """Say whether a level table is named; it stands alone."""
    from hearless.interfaces import HearlessError
    from hearless.levels import FORMATS

    tables = [path for path in paths if Path(path).suffix.lower() in FORMATS and not Path(path).is_dir()]
    if tables and len(paths) > 1:
        raise HearlessError(f"one level table at a time, and no sounds beside it, got {', '.join(paths)}.")
    return bool(tables)


def _seconds(interval: str) -> float | None:
    """Return the seconds of an interval by name or number."""
    from hearless.interfaces import HearlessError

    try:
        return _INTERVALS[interval] if interval in _INTERVALS else float(interval)
    except ValueError:
        raise HearlessError(f"--interval must be fast, slow or seconds, got {interval!r}.") from None


def _name_sources(
    model: Model, log: str, out: Path | None, picture: Path | None, day: str, as_json: bool, **options: Any
) -> None:
    """Name the sources of a log: into a table with a journal, or on the screen."""
    from hearless import door, logs, pictures
    from hearless.interfaces import HearlessError

    if out is None:
        if picture:
            raise HearlessError("the picture is drawn from a table; add --out sources.csv.")
        _print_sources(*door.prepared(model, log, say=_aside, **options), as_json)
        return
    with _bar("row") as bar:
        written = door.sources(model, log, out, say=_aside, on_progress=bar, **options)
    drawn = picture and pictures.day(logs.by_hour(written.path, _date(day)), picture)
    if as_json:
        found = {"table": str(out), "rows": written.n_rows, "log_rows": written.n_log_rows, "notes": written.notes}
        typer.echo(json.dumps({**found, **({"picture": str(drawn)} if drawn else {})}))
        return
    typer.echo(f"{out} written: {written.n_rows} rows from {written.n_log_rows} rows of levels.")
    for rule, n_rows in written.notes.items():
        typer.echo(f"- {rule}: {n_rows} rows of the log")
    again = f"the same command with --picture {shlex.quote(str(out.with_suffix('.png')))}"
    typer.echo(f"The picture: {drawn}" if drawn else f"Next: see which hour has which sources: {again}")


def _aside(text: str) -> None:
    typer.echo(text, err=True)


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
            typer.echo(f"{start} – {end}: {_scores(scores) or 'no levels'}{share}")


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Yield what shows how many (rows of a log, files) are done, as a progress bar on stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.percentage:.1f} %"), BarColumn(30), TimeRemainingColumn(), TextColumn("{task.fields[words]}")
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        bar = bars.add_task("", total=None, words="")

        def done(row: int, total: int) -> None:
            speed = bars.tasks[0].speed or 0.0
            bars.update(bar, completed=row, total=total, words=f"{what} {row:,} of {total:,}, {speed:,.0f} {what}s/s")

        yield done


def _sounds(command: str, paths: list[str], weights: Path | None) -> list[str]:
    """Return the sounds among the words behind a command that listens: all but the model."""
    from hearless.interfaces import HearlessError

    sounds = paths if weights else paths[1:]
    if not sounds:
        raise HearlessError(f"name a model, then the sounds: hearless {command} {paths[0]} FILES_OR_FOLDERS")
    if runs := [path for path in sounds if (Path(path) / "recipe.json").is_file()]:
        raise HearlessError(f"one model at a time, and none beside --weights; {runs[0]} is a run, not sounds.")
    return sounds


def _model(paths: list[str], weights: Path | None, backbone: str | None, torch_device: str) -> Model:
    """Return the model among these words, or that of the weights in its place."""
    from hearless import door
    from hearless.interfaces import HearlessError

    if not weights and Path(paths[0]).suffix.lower() in (".onnx", ".pte"):
        raise HearlessError(f"{paths[0]}: this needs the run itself, not an exported file; name its folder.")
    if weights:
        return door.load_weights(weights, backbone, torch_device=torch_device)
    return door.load(paths[0], torch_device=torch_device)


def _listener(
    paths: list[str], weights: Path | None, backbone: str | None, torch_device: str, threshold: float | None = None
) -> tuple[Listener, str]:
    """Return who listens among these words, and its name: a run, weights, or an exported file (.onnx: without torch).

    A threshold stands for all that were fitted.
    """
    from dataclasses import replace

    from hearless.calibration import Calibration

    listener, name = _opened(paths, weights, backbone, torch_device)
    if threshold is None:
        return listener, name
    same = Calibration(thresholds=(threshold,) * len(listener.labels), none_below=threshold)
    return replace(listener, thresholds=same.thresholds, none_below=same.none_below), name


def _opened(paths: list[str], weights: Path | None, backbone: str | None, torch_device: str) -> tuple[Listener, str]:
    from hearless.artifact import Artifact
    from hearless.download import sha256
    from hearless.predict import Listener

    file = Path(paths[0])
    if weights or file.suffix.lower() not in (".onnx", ".pte"):
        model = _model(paths, weights, backbone, torch_device)
        return model.listener, model.name
    if file.suffix.lower() == ".onnx":
        listening, run = (artifact := Artifact(file)).listening, artifact.card.run
    else:
        from hearless.exports.executorch import Program

        listening, run = (program := Program(file)).listening, program.card.run
    return Listener(**listening), f"{run}, {file.name} {sha256(file)[:16]}"


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
        return _scores(scores) if named or not may_be_none else f"none of these ({_scores(scores)})"

    for one in (one for one in said if not one.error):
        typer.echo(f"{one.path}: {told(one.ranked(), one.named)}")
        for window in one.windows or []:
            said_of = told(one.ranked(window.scores), window.named)
            typer.echo(f"  {window.start_s:.1f}–{window.end_s:.1f} s: {said_of}")


def _scores(ranked: dict[str, float]) -> str:
    return ", ".join(f"{label} {score:.2f}" for label, score in ranked.items())


@_command
def listen(
    model: Annotated[str, typer.Argument(help="A run folder, or an exported .onnx or .pte file.")],
    source: Annotated[str, typer.Option("--from", help="stdin (16-bit samples, mono), microphone, or a sound file.")],
    rate: Annotated[int | None, typer.Option(help="Of stdin, in Hz; of the microphone (default: 16000).")] = None,
    hop: Annotated[float | None, typer.Option(help="Seconds between decisions (default: half a window).")] = None,
    smooth: Annotated[int, typer.Option(help="Windows that a decision is the mean of.")] = 1,
    top: Annotated[int, typer.Option(help="Labels shown.")] = 3,
    threshold: Annotated[
        float | None, typer.Option(help="Score from which a class is there (default: as fitted on validation clips).")
    ] = None,
    as_json: Json = False,
    torch_device: Device = "cpu",
) -> None:
    """Name the sounds of a live stream: a decision every hop, and how long it took.

    For example: arecord -f S16_LE -r 16000 -c 1 | hearless listen FILE.onnx --from stdin --rate 16000
    """
    from hearless import listen as listening
    from hearless.interfaces import HearlessError

    if top < 1:
        raise HearlessError(f"top must be at least 1, got {top}.")
    listener, _ = _listener([model], None, None, torch_device, threshold)
    hop_s, may_be_none = hop or listener.window_s / 2, bool(listener.none_below or listener.thresholds)
    taken_s: list[float] = []
    try:
        for one in listening.listen(listener, _stream(listener, source, rate, hop_s), hop_s=hop_s, smooth=smooth):
            taken_s.append(one.latency_s)
            _print_decision(one, listener.labels, top, as_json, may_be_none)
    except KeyboardInterrupt:
        pass  # how a microphone ends
    said = listening.latency(taken_s)
    typer.echo(
        f"{said.n} decisions, one every {hop_s:g} s; latency {1000 * said.median_s:.1f} ms (median), "
        f"{1000 * said.most_s:.1f} ms (95 %), {1000 * said.longest_s:.1f} ms (longest)"
        f"{'; too slow for this hop: name a longer one' if said.median_s > hop_s else ''}.", err=True,
    )  # fmt: skip


def _stream(listener: Listener, source: str, rate: int | None, hop_s: float) -> Iterator[Any]:
    """Return the samples of what is listened to."""
    from hearless import listen as listening
    from hearless.interfaces import HearlessError

    if source == "microphone":
        return listening.of_microphone(listener, hop_s, rate)
    if source != "stdin":
        return listening.of_file(source, listener, hop_s)
    if rate is None:
        raise HearlessError("samples on stdin do not tell their rate; add --rate, such as --rate 16000.")
    return listening.of_stream(sys.stdin.buffer, rate, listener, hop_s)


def _print_decision(one: Decision, labels: tuple[str, ...], top: int, as_json: bool, may_be_none: bool) -> None:
    best = sorted(zip(labels, one.scores.tolist(), strict=True), key=lambda pair: -pair[1])[:top]
    if as_json:
        plain = {"time_s": one.time_s, "scores": dict(best), "named": one.named, "latency_s": one.latency_s}
        typer.echo(json.dumps(plain, ensure_ascii=False))
        return
    told = _scores(dict(best)) if one.named or not may_be_none else f"none of these ({_scores(dict(best))})"
    typer.echo(f"{one.time_s:.2f} s: {told} [{1000 * one.latency_s:.0f} ms]")


@_command
def levels(
    clip: Annotated[Path, typer.Argument(help="A sound file of any length.")],
    out: Annotated[Path, typer.Option("--to", help="CSV, TSV, Parquet, NPY or HDF5, by its extension.")],
    interval: Annotated[str, typer.Option(help="fast (125 ms) or slow (1 s).")] = "fast",
    bands: Annotated[str, typer.Option(help="published (paper 003) or iec61260 (as real meters).")] = "published",
    octaves: Annotated[str, typer.Option(help="1/3 (29 bands) or 1/1 (10 bands).")] = "1/3",
) -> None:
    """Write a sound's third-octave levels as a table, as a level sensor would."""
    from hearless import door

    n_rows = door.levels(clip, out, interval=interval, bands=bands, octaves=octaves)
    name = shlex.quote(str(out))
    typer.echo(f"{out} written: {n_rows} rows of {29 if octaves == '1/3' else 10} bands.")
    typer.echo(f"Next, with a model of levels: hearless predict MODEL {name} --db-offset 0 --windows")


@_command
def show(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="[MODEL]... CLIP",
            help="A run folder or several (left out with --weights), then a sound or, for models of levels, a log.",
        ),
    ],
    weights: InModelsPlace = None,
    backbone: Backbone = None,
    out: Annotated[Path | None, typer.Option(help="PNG, SVG or PDF (default: CLIP.show.png in this folder).")] = None,
    top: Annotated[int, typer.Option(help="Classes named.")] = 3,
    as_json: Json = False,
    torch_device: Device = "cpu",
    listen_to: Annotated[
        Path | None, typer.Option(help="Models of levels: write what is left of the sound as this .wav or .flac.")
    ] = None,
    seconds: Annotated[float, typer.Option(help="How much of it --listen-to writes, at most.")] = 30.0,
    db_offset: Annotated[
        float | None, typer.Option(help="Level logs: added to all levels (default: estimated, and told).")
    ] = None,
) -> None:
    """Draw what a model hears in a file's first window: spectrogram, its enhancer's mask and output, best classes.

    Several models are drawn one below the other, their best classes beside them; above transcoders of levels what
    their classifier hears of the sound itself.
    """
    from hearless import door
    from hearless.interfaces import HearlessError

    models = [] if weights else [path for path in paths[:-1] if Path(path).is_dir()]
    clips = _sounds("show", paths[len(models) - 1 :] if models else paths, weights)
    if len(clips) > 1:
        raise HearlessError(f"one sound at a time, got {', '.join(clips)}.")
    if len(models) > 1:
        if listen_to:
            raise HearlessError(f"--listen-to takes one model, got {', '.join(models)}; name the one to hear.")
        _show_together(models, clips[0], out, as_json, torch_device, top=top, db_offset=db_offset)
        return
    model = _model(paths, weights, backbone, torch_device)
    shown = model.show(clips[0], out, top=top, db_offset=db_offset, say=_aside)
    if listen_to:
        length_s = door.resynthesise(model, clips[0], listen_to, seconds=seconds, db_offset=db_offset)
        _aside(f"{listen_to} written: what is left of the sound in the levels, {length_s:.3g} s.")
    if as_json:
        typer.echo(json.dumps(shown.to_json(), ensure_ascii=False))
        return
    scores = [[label, f"{score:.2f}"] for label, score in shown.scores.items()]
    typer.echo(", ".join(filter(None, (str(shown.path), shown.part))))
    _print_table("", ["class", "score"], *scores)
    for layer in shown.layers:
        typer.echo(f"- {layer.name}, {len(layer.values)} bands × {layer.values.shape[1]} frames")
    typer.echo(f"\nThe picture: {shown.picture}\n\nNext")
    options = {"--weights": weights, "--backbone": backbone}
    typed = shlex.join([*paths, *(str(word) for item in options.items() if item[1] for word in item)])
    typer.echo(f"- what it says of the whole file, window by window: hearless predict {typed} --windows")
    if not weights:
        typer.echo(f"- how far to trust it: hearless evaluate {shlex.quote(paths[0])}")


def _show_together(
    models: list[str], clip: str, out: Path | None, as_json: bool, torch_device: str, **options: Any
) -> None:
    """Draw several models' hearings and say what each names."""
    from hearless import door

    loaded = [door.load(model, torch_device=torch_device) for model in models]
    shown = door.show_together(loaded, clip, out, say=_aside, **options)
    if as_json:
        typer.echo(json.dumps(shown.to_json(), ensure_ascii=False))
        return
    typer.echo(", ".join(filter(None, (str(shown.path), shown.part))))
    for name, scores in shown.scores.items():
        typer.echo(f"- {name}: {_scores(scores)}")
    typer.echo(f"\nThe picture: {shown.picture}\n\nNext")
    typer.echo(f"- which is better on clips it never heard: hearless compare {shlex.join(models[:2])}")


@_command
def export(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    to: Annotated[str, typer.Option(help="onnx, or executorch (XNNPACK).")] = "onnx",
    int8: Annotated[bool, typer.Option("--int8", help="Round the network to int8, by training clips.")] = False,
    root: Annotated[Path | None, typer.Option(help="Folder of the run's recordings (default: data/NAME).")] = None,
    out: Annotated[Path | None, typer.Option(help="The file (default: in the run's folder).")] = None,
    tolerance: Annotated[float | None, typer.Option(help="How far a logit may lie from PyTorch's.")] = None,
    as_json: Json = False,
) -> None:
    """Write a run as one file that runs without PyTorch, once it was shown to say the same on clips it never heard."""
    from hearless import door

    made = door.export(run, to, root=root, int8=int8, out=out, tolerance=tolerance)
    if as_json:
        typer.echo(json.dumps(made.to_json(), ensure_ascii=False))
        return
    _print_exported(made)
    file, folder = shlex.quote(str(made.path)), shlex.quote(str(run))
    typer.echo(f"\nNext\n- name the sounds in files, without PyTorch: hearless predict {file} MY_SOUNDS/")
    typer.echo(f"- does it fit the device: hearless budget {folder} --max-bytes 128k --max-macs 30M")


def _print_exported(made: Exported) -> None:
    """Print what a file keeps, of what it was made, and how it compares with PyTorch."""
    card, parity = made.card, made.card.parity
    typer.echo(f"{made.path} written: {made.n_bytes:,} bytes, {card.precision}, of {card.run}.")
    if made.stored:
        lines = [[s.part, s.dtype, f"{s.numbers:,}", f"{s.n_bytes:,}"] for s in made.stored]
        _print_table("What the file keeps", ["part", "as", "numbers", "bytes"], *lines)
    typer.echo(
        f"Network: {card.parameters:,} parameters, {card.int8_parameters:,} of them int8, in {card.network_bytes:,} "
        f"bytes: {made.bytes_per_parameter:.2f} a parameter.\n"
        f"It hears {card.window_s:g} s at {card.rate_hz} Hz and tells {len(card.labels)} classes apart.\n"
        f"Licences: {card.licence}.\n"
        f"Against PyTorch on {parity['clips']:.0f} clips it never heard: logits at most "
        f"{parity['max_logit_difference']:.3g} apart ({parity['tolerance']:g} allowed), the same label for "
        f"{parity['label_agreement']:.1%}."
    )


@_command
def budget(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    max_bytes: Annotated[str | None, typer.Option(help="Bytes of all parameters, as in 128k.")] = None,
    max_macs: Annotated[str | None, typer.Option(help="Multiply-accumulates of one clip, as in 30M.")] = None,
    precision: Annotated[str | None, typer.Option(help="fp32, fp16 or int8 (default: the run's own).")] = None,
    as_json: Json = False,
) -> None:
    """Say whether a run's network fits a device, and which layers cost most; exit code 1 where it does not."""
    from hearless import door

    found = door.budget(run, max_bytes=max_bytes, max_macs=max_macs, precision=precision)
    if as_json:
        typer.echo(json.dumps(found.to_json()))
    else:
        _print_budget(found)
    if not found.passes:
        raise typer.Exit(1)


def _print_budget(found: Budget) -> None:
    """Print what a network costs: by precision, by layer, and the verdict."""
    cost, said = found.cost, found.to_json()
    memory = said["peak_activation_bytes"]
    lines = [[name, f"{size:,}", f"{memory[name]:,}"] for name, size in said["bytes"].items()]
    _print_table("Memory in bytes, by precision", ["precision", "parameters", "activations"], *lines)
    typer.echo(f"Most activations are alive at {found.peak.where}: {found.peak.values:,} values.")
    each = found.n_bytes // max(1, cost.parameters)
    layers = [
        [one.name, one.kind, f"{one.macs:,}", f"{one.macs / max(1, cost.macs):.1%}", f"{one.parameters * each:,}"]
        for one in sorted(cost.layers, key=lambda layer: -layer.macs)
    ]
    head = ["layer", "kind", "MACs", "share", f"bytes ({found.precision})"]
    _print_table(f"Multiply-accumulates of {found.window_s:g} s, by layer", head, *layers[:_LAYERS])
    if rest := layers[_LAYERS:]:
        typer.echo(f"and {len(rest)} layers of fewer; all of them: the same command with --json.")
    typer.echo(f"\n{cost.parameters:,} parameters, {found.n_bytes:,} bytes in {found.precision}, {cost.macs:,} MACs.")
    for name, (has, allowed) in found.checks.items():
        typer.echo(f"{'pass' if has <= allowed else 'FAIL'}: {has:,} {name} of {allowed:,} allowed")


@_command
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

    made = dossier(named, out, runs=runs, root=root, n_clips=clips, command=_typed())
    typer.echo(f"{made} written: open it in any browser.")


@_command
def demo(
    runs: Runs = Path("runs/demo"),
    out: Annotated[Path, typer.Option(help="Where table and pictures go.")] = Path("runs/demo/report"),
) -> None:
    """Train and compare 16 kHz, raw, fine-tuned, BASD and CSSD at 1 kHz on made-up sounds, in a few minutes."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # its network is so small that two threads are slower than one
    from hearless import door
    from hearless.pictures import bars

    made_up = {"n_per_class": "48"}
    with _lab(runs, runs / "sounds", "cpu") as lab:
        report = door.study(
            "low_rate/demo", lab=lab, dataset_name="synthetic", mapping=made_up, root=runs / "sounds", command=_typed()
        )
        picture = door.picture(lab, out / "hearing.png", door.dataset("synthetic", mapping=made_up)[0])
    report.save(out)
    bars(report, out / "accuracy.png")
    _show(report, False)
    typer.echo(
        f"\nWhat 16, 2 and 1 kHz sound like to a classifier: {picture}\nThe table: {out}/report.md, {out}/accuracy.png"
    )
    typer.echo("Next, with your own sounds (one folder a class, or a CSV table with path and label):")
    typer.echo("  hearless fetch mn04")
    typer.echo("  hearless train --root MY_SOUNDS --rate 1000 --method cssd --backbone mn04")


def main() -> None:
    """Run the command line."""
    # On busy cores, threads that wait actively for each other make training twenty times slower; set before torch.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    app()


if __name__ == "__main__":
    main()
