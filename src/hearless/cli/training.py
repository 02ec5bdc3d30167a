"""Commands that train: train, study, demo."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from hearless.cli.options import (
    DatasetName,
    Device,
    Json,
    Labels,
    Map,
    Root,
    Runs,
    Set,
    Weights,
    by_name,
    parted,
    settings_of,
    typed,
    whole_numbers,
)
from hearless.cli.progress import watched_lab
from hearless.cli.tables import noise_words, show


def train(
    labels: Labels = None, root: Root = None, dataset: DatasetName = None, mapping: Map = None,
    rate: Annotated[
        int | None, typer.Option(help="What the sensor samples at, in Hz (250 or more; default: 1000).")
    ] = None,
    method: Annotated[
        str,
        typer.Option(help="cssd, basd, dkd, fine_tuned, full_band (16 kHz), or a recipe: spectral_transcoder/light …"),
    ] = "cssd",
    backbone: Annotated[str, typer.Option(help="Network: mn04, cnn14_16k, resnet38, mobilenetv2, mn02 …")] = "mn04",
    weights: Weights = None,
    folds: Annotated[str, typer.Option(help="Folds to test on: 1, or 1,2, or all. Default: the first.")] = "",
    seed: Annotated[int, typer.Option(help="Seed of every random draw.")] = 0,
    runs: Runs = Path("runs"), torch_device: Device = "cpu", settings: Set = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Train a classifier on your own clips for a low-rate sensor."""
    from hearless import door

    data, folder = door.dataset(dataset, labels, root, by_name(mapping))
    with watched_lab(runs, folder, torch_device) as lab:
        known, wanted = lab.folds(data), lab.folds(data, parted(folds))
        made = [
            door.train(
                labels=labels, root=root, name=dataset, mapping=by_name(mapping), rate=rate, method=method,
                backbone=backbone, weights=weights, fold=fold, seed=seed, lab=lab, **settings_of(settings),
            )
            for fold in (wanted if folds else wanted[:1])
        ]  # fmt: skip
    report = door.results_of(made, typed())
    if as_json:
        typer.echo(json.dumps({"runs": [str(run.path) for run in made], "report": report.to_json()}))
        return
    show(report)
    first = shlex.quote(str(made[0].path))
    whole = shlex.quote(str(made[0].path.parent)) if len(made) > 1 else first
    more = f"; {len(made)} folds, to be judged and compared together: {whole}" if len(made) > 1 else ""
    typer.echo(f"\nThe model: {first}{more}\n\nNext")
    if made[0].measured.get("median_db"):
        typer.echo(f"- name the sources in a log of levels: hearless predict {first} LOG.csv --out sources.csv")
    typer.echo(f"- name the sounds in other files: hearless predict {first} MY_SOUNDS/ --csv sounds.csv")
    typer.echo(f"- see each fold and class: hearless evaluate {whole}")
    if named := noise_words(made[0].measured):
        typer.echo(f"- {named}: the same command with --set background=0.1 trains on noise and silence of no class too")
    typer.echo(f"- put it on a device: hearless export {first} --to onnx --int8 --root {shlex.quote(str(folder))}")
    if len(made) < len(known):
        typer.echo("- test every fold in turn: the same command with --folds all")
    if method in ("cssd", "basd", "dkd"):
        typer.echo("- did the teacher help? The same command with --method fine_tuned, then hearless compare A B")


def study(
    name: Annotated[str, typer.Argument(help="Such as low_rate/table1; hearless list names them.")],
    labels: Labels = None, root: Root = None, dataset: DatasetName = None, mapping: Map = None,
    backbone: Annotated[list[str] | None, typer.Option(help="Network; repeatable. Default: the paper's.")] = None,
    weights: Weights = None,
    folds: Annotated[str, typer.Option(help="Such as 1,2. Default: all.")] = "",
    seeds: Annotated[str, typer.Option(help="Such as 0,1,2.")] = "0",
    rates: Annotated[str, typer.Option(help="Such as 1000,2000. Default: the study's.")] = "",
    row: Annotated[list[str] | None, typer.Option(help="Only this row of the table; repeatable. Default: all.")] = None,
    runs: Runs = Path("runs"),
    out: Annotated[Path | None, typer.Option(help="Folder of the table (default: RUNS/studies/NAME).")] = None,
    torch_device: Device = "cpu",
    jobs: Annotated[int, typer.Option(help="Runs trained side by side, by as many processes.")] = 1,
    settings: Set = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Run every row of a study and print its table; killed, it resumes where it stopped."""
    from hearless import door
    from hearless.pictures import bars

    own = labels or root or dataset
    _, folder = door.dataset(dataset, labels, root, by_name(mapping)) if own else door.dataset("esc50")
    place = out or runs / "studies" / name
    with watched_lab(runs, folder, torch_device, jobs) as lab:
        report = door.study(
            name, lab=lab, labels=labels, root=root, dataset_name=dataset, mapping=by_name(mapping),
            backbones=backbone or [], weights=weights, folds=parted(folds),
            seeds=whole_numbers("seeds", seeds) or [0], rates=whole_numbers("rates", rates), only=row or [],
            place=place, command=typed(), **settings_of(settings),
        )  # fmt: skip
    replaced = replaces(place, typed())
    report.save(place)
    if not door.is_analysis(name):
        bars(report, place / "bars.png")
    show(report, as_json, more=replaced)
    if not as_json:
        pictures = ", ".join(str(path) for path in sorted(place.glob("*.png")))
        typer.echo(f"\nThe whole table: {place / 'report.md'} (and .csv, .json); pictures: {pictures}")
    if any(row.hole for row in report.rows):
        raise typer.Exit(1)


def replaces(place: Path, command: str) -> list[str]:
    """Say that a table takes the place of one that another command made."""
    from hearless.interfaces import HearlessError
    from hearless.report import Report

    try:
        earlier = Report.load(place).command
    except HearlessError:
        return []
    kept = f"This table takes the place of one made by `{earlier}`; --out keeps several."
    return [kept] if earlier and earlier != command else []


def demo(
    runs: Runs = Path("runs/demo"),
    out: Annotated[Path, typer.Option(help="Where table and pictures go.")] = Path("runs/demo/report"),
) -> None:
    """Train and compare 16 kHz, raw, fine-tuned, BASD and CSSD at 1 kHz on made-up sounds, in a few minutes."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # its network is so small that two threads are slower than one
    from hearless import door
    from hearless.pictures import bars

    made_up = {"n_per_class": "48"}
    with watched_lab(runs, runs / "sounds", "cpu") as lab:
        report = door.study(
            "low_rate/demo", lab=lab, dataset_name="synthetic", mapping=made_up, root=runs / "sounds", command=typed()
        )
        picture = door.picture(lab, out / "hearing.png", door.dataset("synthetic", mapping=made_up)[0])
    report.save(out)
    bars(report, out / "accuracy.png")
    show(report, False)
    typer.echo(
        f"\nWhat 16, 2 and 1 kHz sound like to a classifier: {picture}\nThe table: {out}/report.md, {out}/accuracy.png"
    )
    typer.echo("Next, with your own sounds (one folder a class, or a CSV table with path and label):")
    typer.echo("  hearless fetch mn04")
    typer.echo("  hearless train --root MY_SOUNDS --rate 1000 --method cssd --backbone mn04")
