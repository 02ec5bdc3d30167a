"""Pretrained weights: found by short name or path, verified, loaded; a weights file alone as a listener."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from hearless.classifiers._official import backbone, read_state, recognise, weights_table
from hearless.download import cache_folder, fetch, sha256, verify
from hearless.interfaces import Classifier, HearlessError, Weights
from hearless.labels import label_names
from hearless.pipeline import Pipeline, PipelineSpec
from hearless.spec import named


def weights_folder() -> Path:
    """Return where fetched weights are kept."""
    return cache_folder() / "weights"


def find(weights: str, digest: str = "") -> Path:
    """Return the file of a short name (fetched before) or path; its SHA-256 is checked where one is stated.

    Raises:
        HearlessError: it is not there (the message says what to type), or its content has changed.
    """
    table = weights_table()
    path = weights_folder() / table[weights][1].remote.filename if weights in table else Path(weights)
    if not path.is_file():
        remedy = (
            f"hearless fetch {weights}"
            if weights in table
            else f"one of {', '.join(sorted(table))}, or a file that exists"
        )
        raise HearlessError(f"weights {weights!r} are not on this machine; try: {remedy}.")
    if weights in table and (known := table[weights][1].remote.checksum):
        verify(path, known)
    if digest and sha256(path) != digest:
        raise HearlessError(
            f"{path} has changed since the recipe was made (SHA-256 differs); restore it or make the recipe anew."
        )
    return path


def load_pretrained(pipeline: Pipeline, weights: str, digest: str = "", *, replace_output: bool) -> None:
    """Load a published weights file into a pipeline's classifier, strictly; its output layer stays fresh on request."""
    state = read_state(find(weights, digest))
    cast(Classifier, pipeline.classifier).load_official(state, replace_output=replace_output)


def as_listener(path: Path, name: str | None = None) -> tuple[Pipeline, tuple[str, ...], Weights]:
    """Return a pipeline made of a weights file alone: its classifier is recognised by keys and shapes.

    Args:
        path: the weights file.
        name: short name of a weights table, to settle a tie (Cnn14 at 16 or 32 kHz).

    Raises:
        HearlessError: no classifier fits, or several published ones do and ``name`` does not say which.
    """
    state = read_state(path)
    found = recognise(state)
    names = [short for _, _, shorts in found for short in shorts]
    if name is None and len(names) != 1:
        what = "no published classifier has its keys and shapes" if not names else f"it may be {' or '.join(names)}"
        raise HearlessError(
            f"{path.name}: {what}; say which with --backbone NAME ({', '.join(sorted(weights_table()))})."
        )
    class_name, row = backbone(name or names[0])
    rate_hz = int(row.view.arguments["input_rate_hz"])
    spec = PipelineSpec(
        named("captures", "FullBand", rate_hz=rate_hz), row.view, named("classifiers", class_name, **row.arguments)
    )
    labels = label_names(row.labels)
    pipeline = spec.build(len(labels))
    cast(Classifier, pipeline.classifier).load_official(state)
    return pipeline.eval(), labels, row


__all__ = ["as_listener", "fetch", "find", "load_pretrained", "weights_folder"]
