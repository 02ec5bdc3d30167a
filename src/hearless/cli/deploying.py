"""Commands that put a run on a device: export, budget."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hearless.cli.options import Json
from hearless.cli.tables import print_table
from hearless.plural import plural

if TYPE_CHECKING:
    from hearless.deploy import Budget, Exported, Stored

_LAYERS = 15
"""Layers that a budget lists."""

_FLOATS = ", and in a file biases, scales and Residual Normalization's λ stay float32, four bytes each"


def export(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    to: Annotated[str, typer.Option(help="onnx, or executorch (XNNPACK).")] = "onnx",
    int8: Annotated[bool, typer.Option("--int8", help="Round the network to int8, by training clips.")] = False,
    root: Annotated[Path | None, typer.Option(help="Folder of the run's recordings (default: data/NAME).")] = None,
    out: Annotated[Path | None, typer.Option(help="The file (default: in the run's folder).")] = None,
    tolerance: Annotated[float | None, typer.Option(help="How far a logit may lie from PyTorch's.")] = None,
    as_json: Json = False,
) -> None:
    """Write a run as a file for a device, once it was shown to say the same as PyTorch on clips it never heard.

    An .onnx file runs without PyTorch; a .pte file needs its card, the .json beside it.
    """
    from hearless import door

    made = door.export(run, to, root=root, int8=int8, out=out, tolerance=tolerance)
    if as_json:
        typer.echo(json.dumps(made.to_json(), ensure_ascii=False))
        return
    _print_exported(made)
    file, folder = shlex.quote(str(made.path)), shlex.quote(str(run))
    alone = ", without PyTorch" if to == "onnx" else ""
    typer.echo(f"\nNext\n- name the sounds in files{alone}: hearless predict {file} MY_SOUNDS/")
    typer.echo(f"- does the file fit the device: hearless budget {file} --max-bytes 128k")
    fits = f"--max-macs 30M --max-ram 256k --precision {made.card.precision}"
    typer.echo(f"- does its network run there: hearless budget {folder} {fits}")


def _print_exported(made: Exported) -> None:
    """Print what a file keeps, of what it was made, and how it compares with PyTorch."""
    card, parity = made.card, made.card.parity
    typer.echo(f"{made.path} written: {made.n_bytes:,} bytes, {card.precision}, of {card.run}.")
    if len(made.files) > 1:
        typer.echo(f"{made.files[1]} written: its card. Copy both.")
    _print_stored(made.stored)
    typer.echo(
        f"Network: {card.parameters:,} parameters, {card.int8_parameters:,} of them int8, in {card.network_bytes:,} "
        f"bytes: {made.bytes_per_parameter:.2f} a parameter.\n"
        f"It hears {card.window_s:g} s at {card.rate_hz} Hz and tells {plural(len(card.labels), 'class')} apart.\n"
        f"Licences: {card.licence}.\n"
        f"Against PyTorch on {plural(round(parity['clips']), 'clip')} it never heard: logits at most "
        f"{parity['max_logit_difference']:.3g} apart ({parity['tolerance']:.3g} allowed), the same label for "
        f"{parity['label_agreement']:.1%}{_near_ties(parity)}."
    )


def _print_stored(stored: tuple[Stored, ...]) -> None:
    """Print what a file keeps, where it tells."""
    if stored:
        lines = [[one.part, one.dtype, f"{one.numbers:,}", f"{one.n_bytes:,}"] for one in stored]
        print_table("What the file keeps", ["part", "as", "numbers", "bytes"], *lines)


def _near_ties(parity: Mapping[str, float]) -> str:
    """Say how many labels differ, and how many of them in near-ties, where some do."""
    differ, near = round(parity["labels_differ"]), round(parity["near_ties_differ"])
    return f" ({differ} of {round(parity['clips'])} differ, {near} of them in near-ties)" if differ else ""


def budget(
    run: Annotated[
        Path, typer.Argument(metavar="RUN_OR_FILE", help="A run folder, or an exported .onnx or .pte file.")
    ],
    max_bytes: Annotated[str | None, typer.Option(help="Bytes of all parameters, or of the file, as in 128k.")] = None,
    max_macs: Annotated[str | None, typer.Option(help="Multiply-accumulates of one clip, as in 30M.")] = None,
    max_ram: Annotated[str | None, typer.Option(help="Bytes of the most activations alive at once.")] = None,
    precision: Annotated[str | None, typer.Option(help="fp32, fp16 or int8 (default: the run's own).")] = None,
    as_json: Json = False,
) -> None:
    """Say whether a run's network or an exported file fits a device, and what costs most; exit code 1 where not."""
    from hearless import door
    from hearless.deploy import Budget

    found = door.budget(run, max_bytes=max_bytes, max_macs=max_macs, max_ram=max_ram, precision=precision)
    if as_json:
        typer.echo(json.dumps(found.to_json()))
    else:
        _print_budget(found) if isinstance(found, Budget) else _print_file(found.made)
        for name, (has, allowed) in found.checks.items():
            typer.echo(f"{'pass' if has <= allowed else 'FAIL'}: {has:,} {name} of {allowed:,} allowed")
    if not found.passes:
        raise typer.Exit(1)


def _print_file(made: Exported) -> None:
    """Print how large an exported file is and what it keeps."""
    typer.echo(f"{made.path}: {made.n_bytes:,} bytes, {made.card.precision}.")
    _print_stored(made.stored)


def _print_budget(found: Budget) -> None:
    """Print what a network costs: by precision, by layer, and the verdict."""
    cost, said = found.cost, found.to_json()
    memory = said["peak_activation_bytes"]
    lines = [[name, f"{size:,}", f"{memory[name]:,}"] for name, size in said["bytes"].items()]
    print_table("Memory in bytes, by precision", ["precision", "parameters", "activations"], *lines)
    typer.echo(f"Most activations are alive at {found.peak.where}: {found.peak.values:,} values.")
    each = found.n_bytes // max(1, cost.parameters)
    layers = [
        [one.name, one.kind, f"{one.macs:,}", f"{one.macs / max(1, cost.macs):.1%}", f"{one.parameters * each:,}"]
        for one in sorted(cost.layers, key=lambda layer: -layer.macs)
    ]
    head = ["layer", "kind", "MACs", "share", f"bytes ({found.precision})"]
    print_table(f"Multiply-accumulates of {found.window_s:g} s, by layer", head, *layers[:_LAYERS])
    if rest := layers[_LAYERS:]:
        typer.echo(f"and {plural(len(rest), 'layer')} of fewer; all of them: the same command with --json.")
    typer.echo(f"\n{cost.parameters:,} parameters, {found.n_bytes:,} bytes in {found.precision}, {cost.macs:,} MACs.")
    typer.echo(
        "That is the network alone: its front end's tables come on top"
        f"{_FLOATS if found.precision == 'int8' else ''}. An exported file tells: hearless budget FILE.onnx"
    )
