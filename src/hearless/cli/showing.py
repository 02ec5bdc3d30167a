"""Commands that show what a sensor keeps and a model hears: levels, show."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from hearless.cli.listeners import aside, model_of, scores_line, sounds_of
from hearless.cli.logs import (
    BandsHz,
    Columns,
    DbOffset,
    Interval,
    Mark,
    TimeColumn,
    Weighting,
    flags_named,
    reading_of,
)
from hearless.cli.options import Backbone, Device, InModelsPlace, Json
from hearless.cli.tables import print_table
from hearless.plural import plural


def levels(
    clip: Annotated[Path, typer.Argument(help="A sound file of any length.")],
    out: Annotated[Path, typer.Option("--out", "--to", help="CSV, TSV, Parquet, NPY or HDF5, by its extension.")],
    interval: Annotated[str, typer.Option(help="fast (125 ms) or slow (1 s).")] = "fast",
    bands: Annotated[str, typer.Option(help="published (paper 003) or iec61260 (as real meters).")] = "published",
    octaves: Annotated[str, typer.Option(help="1/3 (29 bands) or 1/1 (10 bands).")] = "1/3",
) -> None:
    """Write a sound's third-octave levels as a table, as a level sensor would."""
    from hearless import door

    n_rows = door.levels(clip, out, interval=interval, bands=bands, octaves=octaves)
    name = shlex.quote(str(out))
    typer.echo(f"{out} written: {plural(n_rows, 'row')} of {29 if octaves == '1/3' else 10} bands.")
    typer.echo(f"Next, with a model of levels: hearless predict MODEL {name} --db-offset 0 --windows")


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
    start: Annotated[float, typer.Option(help="Where to begin, in seconds; of level logs gaps are not counted.")] = 0.0,
    db_offset: DbOffset = None,
    interval: Interval = "",
    columns: Columns = None,
    bands_hz: BandsHz = "",
    time_column: TimeColumn = None,
    weighting: Weighting = None,
    mark: Mark = False,
) -> None:
    """Draw what a model hears in a file's first window (or from --start on): spectrogram, mask, best classes.

    Several models are drawn one below the other, their best classes beside them, an enhancer's mask above what it
    leaves; above transcoders of levels what their classifier hears of the sound itself.
    """
    from hearless import door
    from hearless.interfaces import HearlessError

    how: dict[str, Any] = {"db_offset": db_offset, "start_s": start}
    how |= reading_of(interval, columns, bands_hz, time_column, weighting, mark)
    models = [] if weights else [path for path in paths[:-1] if Path(path).is_dir()]
    clips = sounds_of("show", paths[len(models) - 1 :] if models else paths, weights)
    if len(clips) > 1:
        raise HearlessError(f"one sound at a time, got {', '.join(clips)}.")
    if len(models) > 1:
        if listen_to:
            raise HearlessError(f"--listen-to takes one model, got {', '.join(models)}; name the one to hear.")
        with flags_named():
            _show_together(models, clips[0], out, as_json, torch_device, top=top, **how)
        return
    model = model_of(paths, weights, backbone, torch_device)
    with flags_named():
        shown = model.show(clips[0], out, top=top, say=aside, **how)
    if listen_to:
        length_s = door.resynthesise(model, clips[0], listen_to, seconds=seconds, **how)
        aside(f"{listen_to} written: what is left of the sound in the levels, {length_s:.3g} s.")
    if as_json:
        typer.echo(json.dumps(shown.to_json(), ensure_ascii=False))
        return
    scores = [[label, f"{score:.2f}"] for label, score in shown.scores.items()]
    typer.echo(", ".join(filter(None, (str(shown.path), shown.part))))
    print_table("", ["class", "score"], *scores)
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

    loaded = [door.load(model, torch_device=torch_device, say=aside) for model in models]
    shown = door.show_together(loaded, clip, out, say=aside, **options)
    if as_json:
        typer.echo(json.dumps(shown.to_json(), ensure_ascii=False))
        return
    typer.echo(", ".join(filter(None, (str(shown.path), shown.part))))
    for name, scores in shown.scores.items():
        typer.echo(f"- {name}: {scores_line(scores)}")
    typer.echo(f"\nThe picture: {shown.picture}\n\nNext")
    typer.echo(f"- which is better on clips it never heard: hearless compare {shlex.join(models[:2])}")
