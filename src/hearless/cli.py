"""The command line: list, fetch, train, study, evaluate, compare, predict, levels, show, demo.

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

    from hearless.door import Model
    from hearless.lab import Lab
    from hearless.levels import LevelLog
    from hearless.logs import LevelListener, Wanted
    from hearless.predict import FilePrediction
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

_INTERVALS = {"fast": 0.125, "slow": 1.0, "": None}

OWN_OPTIONS = (
    "labels", "root", "dataset", "map", "mapping", "rate", "rates", "method", "backbone", "backbones", "weights",
    "fold", "folds", "seed", "seeds", "runs", "name", "dataset_name", "lab", "command", "torch_device",
)  # fmt: skip
"""What --set may not name: each has an option of its own."""


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
    """Print the first measure per fold and per class, a column a row of the report."""
    from hearless.report import show

    names = [row.label for row in report.rows]
    unit = report.unit(report.columns[0])
    for kind, parts in (("fold", [r.per_fold for r in report.rows]), ("class", [r.per_class for r in report.rows])):
        keys = dict.fromkeys(key for part in parts for key in part)
        lines = [[key, *(show(part.get(key), unit) for part in parts)] for key in keys]
        _print_table(f"{report.columns[0]} ({unit}) per {kind}", [kind, *names], *lines)


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
    with _lab(runs, folder, torch_device) as lab:
        report = door.study(
            name, lab=lab, labels=labels, root=root, dataset_name=dataset, mapping=_words(mapping),
            backbones=backbone or [], weights=weights, folds=_list(folds),
            seeds=_numbers("seeds", seeds) or [0], rates=_numbers("rates", rates), command=_typed(),
            **_settings(settings),
        )  # fmt: skip
    place = report.save(out or runs / "studies" / name)
    bars(report, place / "bars.png")
    _show(report, as_json)
    if not as_json:
        typer.echo(f"\nThe whole table: {place / 'report.md'} (and .csv, .json); a picture: {place / 'bars.png'}")
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
        Path | None, typer.Option("--out", help="Level logs: write this .csv or .parquet; killed, it goes on.")
    ] = None,
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

    A level log (CSV, TSV, Parquet, NPY or HDF5) becomes a table of sources over time.
    """
    from hearless import predict as predicting
    from hearless.interfaces import HearlessError

    sounds = _sounds("predict", paths, weights)
    if csv and as_json:
        raise HearlessError("choose --csv FILE or --json.")
    model = _model(paths, weights, backbone, torch_device)
    if _are_levels(sounds):
        _name_sources(
            model, sounds[0], out or csv, picture, day, as_json,
            every="window" if windows else every, hop_s=hop, db_offset=db_offset, only=only,
            top=5 if top is None else top, interval_s=_seconds(interval), columns=columns, weighting=weighting,
            on_error="mark" if mark else "raise",
        )  # fmt: skip
        return
    if out or picture or every or only:
        raise HearlessError(f"--out, --picture, --every and --only are for level logs; {sounds[0]} is none, use --csv.")
    broken: list[Path] = []
    listed = 3 if top is None else top
    said = _reported(predicting.predict(model.listener, sounds, hop_s=hop, top=listed, windows=windows), broken)
    if csv:
        predicting.write_csv(said, csv)
        typer.echo(f"{csv} written.")
    elif as_json:
        typer.echo(json.dumps([predicting.plain(one) for one in said], ensure_ascii=False))
    else:
        _print_scores(said)
    if broken:
        typer.echo(f"{len(broken)} files could not be read; the others are done.", err=True)
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
    with _rows_bar() as bar:
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
def _rows_bar() -> Iterator[Callable[[int, int], None]]:
    """Yield what shows the rows of a log that are done, as a progress bar on stderr."""
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
            bars.update(bar, completed=row, total=total, words=f"row {row:,} of {total:,}, {speed:,.0f} rows/s")

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

    if weights:
        return door.load_weights(weights, backbone, torch_device=torch_device)
    return door.load(paths[0], torch_device=torch_device)


def _reported(said: Iterator[FilePrediction], broken: list[Path]) -> Iterator[FilePrediction]:
    """Pass predictions on; a broken file is told on stderr and put into ``broken``."""
    for one in said:
        if one.error:
            broken.append(one.path)
            typer.echo(f"{one.path}: could not be read: {one.error}", err=True)
        yield one


def _print_scores(said: Iterator[FilePrediction]) -> None:
    for one in (one for one in said if not one.error):
        typer.echo(f"{one.path}: {_scores(one.ranked())}")
        for window in one.windows or []:
            typer.echo(f"  {window.start_s:.1f}–{window.end_s:.1f} s: {_scores(one.ranked(window.scores))}")


def _scores(ranked: dict[str, float]) -> str:
    return ", ".join(f"{label} {score:.2f}" for label, score in ranked.items())


@_command
def levels(
    clip: Annotated[Path, typer.Argument(help="A sound file of any length.")],
    out: Annotated[Path, typer.Option("--to", help="CSV, TSV, Parquet, NPY or HDF5, by its extension.")],
    interval: Annotated[str, typer.Option(help="fast (125 ms) or slow (1 s).")] = "fast",
    bands: Annotated[str, typer.Option(help="published (paper 003) or iec61260 (as real meters).")] = "published",
) -> None:
    """Write a sound's third-octave levels as a table, as a level sensor would."""
    from hearless import door

    n_rows = door.levels(clip, out, interval=interval, bands=bands)
    name = shlex.quote(str(out))
    typer.echo(f"{out} written: {n_rows} rows of 29 bands.")
    typer.echo(f"Next, with a model of levels: hearless predict MODEL {name} --db-offset 0 --windows")


@_command
def show(
    paths: Annotated[
        list[str], typer.Argument(metavar="[MODEL] CLIP", help="A run folder (left out with --weights), then a file.")
    ],
    weights: InModelsPlace = None,
    backbone: Backbone = None,
    out: Annotated[Path | None, typer.Option(help="PNG, SVG or PDF (default: CLIP.show.png in this folder).")] = None,
    top: Annotated[int, typer.Option(help="Classes named.")] = 3,
    as_json: Json = False,
    torch_device: Device = "cpu",
) -> None:
    """Draw what a model hears in a file's first window: spectrogram, its enhancer's mask and output, best classes."""
    from hearless.interfaces import HearlessError

    clips = _sounds("show", paths, weights)
    if len(clips) > 1:
        raise HearlessError(f"one sound at a time, got {', '.join(clips)}.")
    model = _model(paths, weights, backbone, torch_device)
    shown = model.show(clips[0], out, top=top)
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
