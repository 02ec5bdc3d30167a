"""Who listens, among the words behind a command, to what; and how scores are said."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from hearless.door import Model
    from hearless.predict import Listener


def sounds_of(command: str, paths: list[str], weights: Path | None) -> list[str]:
    """Return the sounds among the words behind a command that listens: all but the model."""
    from hearless.interfaces import HearlessError

    sounds = paths if weights else paths[1:]
    if not sounds:
        raise HearlessError(_missing(command, paths[0]))
    if runs := [path for path in sounds if (Path(path) / "recipe.json").is_file()]:
        raise HearlessError(f"one model at a time, and none beside --weights; {runs[0]} is a run, not sounds.")
    return sounds


def _missing(command: str, only: str) -> str:
    """Say what to type where one word alone was given: a model, or a sound."""
    is_sound = Path(only).is_file() and not is_exported(only)
    sounds = "CLIP" if command == "show" else "FILES_OR_FOLDERS"
    words = f"RUN {only}" if is_sound else f"{only} {sounds}"
    return f"name a model, then the sounds: hearless {command} {words}"


def is_exported(model: str | Path) -> bool:
    """Say whether a model is an exported file, by its extension."""
    return Path(model).suffix.lower() in (".onnx", ".pte")


def model_of(paths: list[str], weights: Path | None, backbone: str | None, torch_device: str) -> Model:
    """Return the model among these words, or that of the weights in its place."""
    from hearless import door
    from hearless.interfaces import HearlessError

    if not weights and is_exported(paths[0]):
        raise HearlessError(f"{paths[0]}: this needs the run itself, not an exported file; name its folder.")
    if weights:
        return door.load_weights(weights, backbone, torch_device=torch_device)
    return door.load(paths[0], torch_device=torch_device, say=aside)


def listener_of(
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
    if weights or not is_exported(file):
        model = model_of(paths, weights, backbone, torch_device)
        return model.listener, model.name
    if file.suffix.lower() == ".onnx":
        listening, run = (artifact := Artifact(file)).listening, artifact.card.run
    else:
        from hearless.exports.executorch import Program

        listening, run = (program := Program(file)).listening, program.card.run
    return Listener(**listening), f"{run}, {file.name} {sha256(file)[:16]}"


def scores_line(ranked: dict[str, float]) -> str:
    """Return scores in one line, in their order."""
    return ", ".join(f"{label} {score:.2f}" for label, score in ranked.items())


def aside(text: str) -> None:
    """Say something beside the result: on stderr."""
    typer.echo(text, err=True)
