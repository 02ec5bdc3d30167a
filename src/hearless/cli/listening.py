"""The command listen: a decision every hop on a live stream."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hearless.cli.listeners import listener_of, scores_line
from hearless.cli.options import Device, Json
from hearless.plural import plural

if TYPE_CHECKING:
    from hearless.listen import Decision
    from hearless.predict import Listener


def listen(
    model: Annotated[str, typer.Argument(help="A run folder, or an exported .onnx or .pte file.")],
    source: Annotated[str, typer.Option("--from", help="stdin (16-bit samples, mono), microphone, or a sound file.")],
    rate: Annotated[int | None, typer.Option(help="Of stdin, in Hz; of the microphone (default: 16000).")] = None,
    hop: Annotated[
        float | None, typer.Option(help="Seconds between decisions (default: half a window); may be longer than one.")
    ] = None,
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
    listener, _ = listener_of([model], None, None, torch_device, threshold)
    hop_s = listener.window_s / 2 if hop is None else hop
    block_s, may_be_none = min(hop_s, listener.window_s / 2), bool(listener.none_below or listener.thresholds)
    taken_s: list[float] = []
    try:
        for one in listening.listen(listener, _stream(listener, source, rate, block_s), hop_s=hop_s, smooth=smooth):
            taken_s.append(one.latency_s)
            _print_decision(one, listener.labels, top, as_json, may_be_none)
    except KeyboardInterrupt:
        pass  # how a microphone ends
    else:
        if not taken_s:
            raise HearlessError(f"{source} must give samples, got none; check that what sends them runs.")
    said = listening.latency(taken_s)
    typer.echo(
        f"{plural(said.n, 'decision')}, one every {hop_s:g} s; latency {1000 * said.median_s:.1f} ms (median), "
        f"{1000 * said.most_s:.1f} ms (95 %), {1000 * said.longest_s:.1f} ms (longest)"
        f"{'; too slow for this hop: name a longer one' if said.median_s > hop_s else ''}.", err=True,
    )  # fmt: skip


def _stream(listener: Listener, source: str, rate: int | None, block_s: float) -> Iterator[Any]:
    """Return the samples of what is listened to."""
    from hearless import listen as listening
    from hearless.interfaces import HearlessError

    if source == "microphone":
        return listening.of_microphone(listener, block_s, rate)
    if source != "stdin":
        return listening.of_file(source, listener, block_s)
    if rate is None:
        raise HearlessError("samples on stdin do not tell their rate; add --rate, such as --rate 16000.")
    return listening.of_stream(sys.stdin.buffer, rate, listener, block_s)


def _print_decision(one: Decision, labels: tuple[str, ...], top: int, as_json: bool, may_be_none: bool) -> None:
    best = sorted(zip(labels, one.scores.tolist(), strict=True), key=lambda pair: -pair[1])[:top]
    if as_json:
        plain = {"time_s": one.time_s, "scores": dict(best), "named": one.named, "latency_s": one.latency_s}
        typer.echo(json.dumps(plain, ensure_ascii=False))
        return
    told = scores_line(dict(best)) if one.named or not may_be_none else f"none of these ({scores_line(dict(best))})"
    typer.echo(f"{one.time_s:.2f} s: {told} [{1000 * one.latency_s:.0f} ms]")
