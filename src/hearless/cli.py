"""The command line: list, fetch, train, study, evaluate, compare, predict, demo.

Everything heavy is imported inside the commands, so that ``hearless --help`` answers at once.  Errors end in one
sentence that says what to do, and exit code 1.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from rich.progress import TaskID

    from hearless.lab import Lab
    from hearless.report import Report
    from hearless.train import Tick

app = typer.Typer(
    help="Audio classifiers that need to hear less: train, distil, evaluate and use them at 250 Hz to 16 kHz.",
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
)  # fmt: skip

Command = TypeVar("Command", bound=Callable[..., Any])

Labels = Annotated[Path | None, typer.Option("--labels", help="CSV table of your clips: path, label, …")]
Root = Annotated[Path | None, typer.Option("--root", help="Folder of the sounds (default: beside the table).")]
DatasetName = Annotated[
    str | None, typer.Option("--dataset", help="A known data set instead, such as synthetic or esc50.")
]
Map = Annotated[list[str] | None, typer.Option("--map", help="A column's name, as in label=category; repeatable.")]
Weights = Annotated[str | None, typer.Option("--weights", help="Local weights file, or 'none' for random weights.")]
Runs = Annotated[Path, typer.Option("--runs", help="Folder of all runs.")]
Device = Annotated[str, typer.Option("--torch-device", help="cpu, cuda, mps …")]
Set = Annotated[list[str] | None, typer.Option("--set", help="A setting, as in epochs=30; repeatable.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]


def _command(function: Command) -> Command:
    """Register a command whose `HearlessError` ends as one sentence on stderr."""

    @wraps(function)
    def guarded(*arguments: Any, **options: Any) -> Any:
        from hearless.interfaces import HearlessError

        try:
            return function(*arguments, **options)
        except HearlessError as error:
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
    if wrong := [pair for pair in pairs or [] if "=" not in pair]:
        raise HearlessError(f"settings and columns are name=value, got {', '.join(wrong)}.")
    return found


@contextmanager
def _lab(runs: Path, root: Path, torch_device: str) -> Iterator[Lab]:
    """Yield a lab that shows decoding and training as progress bars on stderr."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from hearless.lab import Lab

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
        TextColumn("{task.fields[words]}"),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def task(name: str, total: int) -> TaskID:
            if name not in tasks:
                for old in tasks.values():
                    bars.remove_task(old)
                tasks.clear()
                tasks[name] = bars.add_task(name, total=total, words="")
            return tasks[name]

        def tick(name: str, at: Tick) -> None:
            done = (at.epoch - 1) * at.n_clips + at.clips
            words = f"epoch {at.epoch}/{at.n_epochs}, {at.clips_per_s:.0f} clips/s, loss {at.metrics['loss']:.3f}"
            bars.update(task(name, at.n_epochs * at.n_clips), completed=done, words=words)

        def decoding(done: int, total: int) -> None:
            bars.update(task("decoding", total), completed=done)

        yield Lab(runs, root, torch_device=torch_device, say=console.print, tick=tick, decoding=decoding)


def _typed() -> str:
    """Return the command as it was typed."""
    return shlex.join(["hearless", *sys.argv[1:]])


def _show(report: Report, as_json: bool) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    if as_json:
        typer.echo(json.dumps(report.to_json(), ensure_ascii=False))
        return
    console = Console()
    table = Table(*report.header(), title=report.title, caption=report.task, box=box.SIMPLE_HEAD)
    for cells in report.cells():
        table.add_row(*cells)
    console.print(table)
    for test in report.tests:
        console.print(f"- {test.words}", highlight=False)
    for row in report.rows:
        if row.hole:
            console.print(f"- missing: {row.label}: {row.hole}", highlight=False)


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
    from hearless import door, download
    from hearless.classifiers._official import weights_table
    from hearless.weights import weights_folder

    def confirm(question: str) -> bool:
        return yes or typer.confirm(question)

    table = weights_table()
    for name in names:
        if name in table:
            row = table[name][1]
            typer.echo(f"{name}: {row.licence}; {row.source}")
            typer.echo(str(download.fetch(row.remote, weights_folder(), confirm=confirm)))
            continue
        data, default = door.dataset(name)
        corpus = data.build()
        typer.echo(f"{name}: {corpus.licence}; {corpus.source}")
        for remote in corpus.remotes:
            typer.echo(str(download.fetch(remote, folder or default, confirm=confirm)))


@_command
def train(
    labels: Labels = None, root: Root = None, dataset: DatasetName = None, mapping: Map = None,
    rate: Annotated[int, typer.Option(help="What the sensor samples at, in Hz (250 or more).")] = 1000,
    method: Annotated[str, typer.Option(help="cssd, basd, fine_tuned, or full_band (16 kHz).")] = "cssd",
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
        wanted = lab.folds(data, [] if folds in ("", "all") else folds.split(","))
        made = [
            door.train(
                labels=labels, root=root, name=dataset, mapping=_words(mapping), rate=rate, method=method,
                backbone=backbone, weights=weights, fold=fold, seed=seed, lab=lab, **_words(settings),
            )
            for fold in (wanted if folds else wanted[:1])
        ]  # fmt: skip
    report = _report_of([made[0].path.parent if len(made) > 1 else made[0].path], _typed())
    _show(report, as_json)
    if not as_json:
        typer.echo(f"\nThe model: {made[0].path}")
        typer.echo(f"Next: hearless predict {made[0].path} YOUR_SOUNDS/ --csv sounds.csv")
        if len(made) < len(wanted):
            typer.echo("For all folds: the same command with --folds all")


def _report_of(folders: list[Path], command: str) -> Report:
    from hearless import door

    return door.report(folders, command)


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
            backbones=backbone or [], weights=weights, folds=folds.split(",") if folds else [],
            seeds=[int(s) for s in seeds.split(",")], rates=[int(r) for r in rates.split(",")] if rates else [],
            command=_typed(), **_words(settings),
        )  # fmt: skip
    place = report.save(out or runs / "studies" / name)
    bars(report, place / "bars.png")
    _show(report, as_json)
    if not as_json:
        typer.echo(f"\nTable and picture: {place}/report.md, bars.png")
    if any(row.hole for row in report.rows):
        raise typer.Exit(1)


@_command
def evaluate(
    runs: Annotated[list[Path], typer.Argument(help="Run folders, or recipe folders with several folds and seeds.")],
    as_json: Json = False,
    out: Annotated[Path | None, typer.Option(help="Also save report.md, .csv and .json here.")] = None,
) -> None:
    """Show what runs scored on their test clips: overall, per fold, per class, with 95 % intervals."""
    report = _report_of(runs, _typed())
    _show(report, as_json)
    if out:
        report.save(out)
    if not as_json:
        typer.echo(report.to_markdown().partition("\n## ")[2] and "\n## " + report.to_markdown().partition("\n## ")[2])


@_command
def compare(
    a: Annotated[Path, typer.Argument(help="A run or recipe folder.")],
    b: Annotated[Path, typer.Argument(help="Another, tested on the same clips.")],
    as_json: Json = False,
) -> None:
    """Say whether one run is better than another on the same clips: paired bootstrap over recordings, McNemar."""
    from hearless import door

    _show(door.report([a, b], _typed(), compare=True), as_json)


@_command
def predict(
    paths: Annotated[
        list[str], typer.Argument(help="MODEL (a run folder; left out with --weights), then files and folders.")
    ],
    weights: Annotated[
        Path | None, typer.Option("--weights", help="A published weights file in MODEL's place.")
    ] = None,
    backbone: Annotated[str | None, typer.Option("--backbone", help="Its name, where its shapes fit several.")] = None,
    top: Annotated[int, typer.Option(help="Labels shown for each file.")] = 3,
    windows: Annotated[bool, typer.Option("--windows", help="Scores of each window, not only of the file.")] = False,
    hop: Annotated[float | None, typer.Option(help="Seconds between windows.")] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write this CSV table.")] = None,
    as_json: Json = False,
    torch_device: Device = "cpu",
) -> None:
    """Name the sounds in files and folders; broken files are listed and the rest go on."""
    from hearless import door
    from hearless import predict as predicting

    model = door.load_weights(weights, backbone) if weights else door.load(paths[0], torch_device=torch_device)
    sounds = paths if weights else paths[1:]
    said = predicting.predict(model.listener, sounds, hop_s=hop, top=top, windows=windows)
    if csv:
        predicting.write_csv(said, csv)
        typer.echo(f"{csv} written.")
        return
    broken = 0
    found = []
    for one in said:
        broken += one.error is not None
        if as_json:
            found.append(predicting.plain(one))
        elif one.error:
            typer.echo(f"{one.path}: could not be read: {one.error}", err=True)
        else:
            typer.echo(f"{one.path}: " + ", ".join(f"{label} {score:.2f}" for label, score in one.ranked().items()))
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
    if broken:
        typer.echo(f"{broken} files could not be read; the others are done.", err=True)


@_command
def demo(
    runs: Runs = Path("runs/demo"),
    out: Annotated[Path, typer.Option(help="Where table and pictures go.")] = Path("runs/demo/report"),
) -> None:
    """Train and compare 16 kHz, raw, fine-tuned, BASD and CSSD at 1 kHz on made-up sounds, in a few minutes."""
    from hearless import door
    from hearless.pictures import bars

    with _lab(runs, runs / "sounds", "cpu") as lab:
        report = door.study("low_rate/demo", lab=lab, dataset_name="synthetic", root=runs / "sounds", command=_typed())
        picture = door.picture(lab, out / "hearing.png")
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
    app()


if __name__ == "__main__":
    main()
