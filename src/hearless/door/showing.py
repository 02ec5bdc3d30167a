"""What models make of a sound, as pictures and as sound."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from hearless import audio
from hearless.door.model import TRANSCODER, Model, Opening, Say, is_level_table
from hearless.door.models import Listening, model_of
from hearless.door.recipes import settings
from hearless.door.shown import Shown, Together
from hearless.interfaces import Capture, Enhancer, HearlessError, Transcoder
from hearless.lab import Lab
from hearless.spec import Spec
from hearless.teachers import Pretrained

if TYPE_CHECKING:
    from hearless.pictures import Hearing, Layer

PEAK = 0.5
"""Of sound made from levels, as a share of full scale: levels of a log say nothing of a loudspeaker's."""

LONGEST_S = 600.0
"""Seconds of sound made from levels, at most: it is made in memory."""


def show(
    model: Listening, sound: str | Path, path: str | Path | None = None, *, top: int = 3,
    db_offset: float | None = None, start_s: float = 0.0, say: Say = lambda text: None, **reading: Any,
) -> Shown:  # fmt: skip
    """Draw what a model or run folder makes of a sound: see `Model.show`."""
    return model_of(model).show(sound, path, top=top, db_offset=db_offset, start_s=start_s, say=say, **reading)


def show_together(
    listening: Sequence[Listening], sound: str | Path, path: str | Path | None = None, *, top: int = 3,
    db_offset: float | None = None, start_s: float = 0.0, say: Say = lambda text: None, **reading: Any,
) -> Together:  # fmt: skip
    """Draw what several classifiers are given of a sound, one below the other, their best classes beside them.

    Above what an enhancer makes of it stands its mask, where it has one.  On top of transcoders' runs stands the Mel
    that their frozen classifier hears of the sound itself (paper 003, Fig. 5).  They share its colours; of a level
    table, which has no such Mel, those of the first.  Arguments as in `Model.show`.

    Raises:
        HearlessError: as there, or a model is named twice.
    """
    from hearless.pictures import hearings

    models, file = [model_of(one) for one in listening], Path(sound)
    names = _short([model.name for model in models])
    if not models or len({*names}) < len(names):
        raise HearlessError(f"each model must be named once, got {', '.join(names) or 'none'}.")
    stack: list[Hearing] = []
    how = Opening(start_s, db_offset, say, reading)
    scores: dict[str, dict[str, float]] = {}
    leads: dict[Pretrained | str, int] = {}
    for name, model in zip(names, models, strict=True):
        for title, heard in _heard_by(name, model, None if model.beside in leads else file):
            parts, said, seconds = heard.heard(file, top, how)
            like = leads.get(model.beside or title)
            unit = parts[-1].unit if like is None else stack[like].layer.unit
            stack += _panels(title, (*parts[:-1], replace(parts[-1], unit=unit)), said, like)
            scores[title] = said
            leads.setdefault(model.beside or title, len(stack) - 1)
    end_s = min(seconds - start_s, max(model.window_s for model in models))
    shown = Together(file, Path(path or f"{file.stem}.show.png"), seconds, end_s, scores, tuple(stack), start_s)
    hearings(stack, shown.picture, title=", ".join(filter(None, (file.name, shown.part))))
    return shown


def _panels(title: str, parts: Sequence[Layer], said: dict[str, float], like: int | None) -> list[Hearing]:
    """Return the last layer with what is said of it, above it the mask that made it, where there is one."""
    from hearless.pictures import FACTOR, Hearing

    *before, given = (replace(part, name=f"{title}, {part.name}") for part in parts)
    words = tuple(f"{label} {score:.2f}" for label, score in said.items())
    return [*(Hearing(part, ()) for part in before if part.unit == FACTOR), Hearing(given, words, like)]


def _heard_by(name: str, model: Model, file: Path | None) -> list[tuple[str, Model]]:
    """Return a model by name, before it the frozen classifier that hears the sound itself, where a file has sound."""
    original = None if file is None or is_level_table(file) else model.original()
    return [*([(f"the sound itself: {original.name}", original)] if original else []), (name, model)]


def _short(names: Sequence[str]) -> list[str]:
    """Return run folders' names without hash and fold, where that tells them apart."""
    short = [name.partition("/")[0].rpartition("-")[0] if "/" in name else name for name in names]
    return short if len({*short}) == len(short) and all(short) else list(names)


def resynthesise(
    model: Listening, sound: str | Path, out: str | Path, *, seconds: float = 30.0, db_offset: float | None = None,
    start_s: float = 0.0, say: Say = lambda text: None, **reading: Any,
) -> float:  # fmt: skip
    """Write what a transcoder makes of a stretch of a sound or of a level table as sound; return its seconds.

    So one can hear what a log still tells.  The loudest sample lies at half of full scale.

    Args:
        model: a model of levels with a transcoder, or its run.
        sound: the file.
        out: WAV, FLAC or OGG by its extension.
        seconds: how much of it, at most.
        db_offset: added to the levels of a table; None: estimated, and ``say`` is told the evidence.
        start_s: where it begins, in s from the file's beginning; of a level table gaps are not counted.
        say: told so.
        reading: how a level table is read: arguments of `hearless.levels.open_levels`.

    Raises:
        HearlessError: the model has no transcoder, the file cannot be read, or ``out`` not be written.
    """
    listening, file = model_of(model), Path(sound)
    enhancer: object = listening.pipeline.enhancer
    if not isinstance(enhancer, Transcoder):
        command = TRANSCODER.format(interval="fast")
        raise HearlessError(f"{listening.name} has no transcoder to be heard; train one: {command}")
    if not 0.1 <= seconds <= LONGEST_S:
        raise HearlessError(f"seconds must lie between 0.1 and {LONGEST_S:g}, got {seconds:g}.")
    length_s = max(seconds, listening.window_s)
    observation, whole_s = listening.opening(file, length_s, Opening(start_s, db_offset, say, reading))
    n_levels = math.ceil(min(whole_s - start_s, seconds) * cast(Capture, listening.pipeline.capture).rate_hz)
    with torch.inference_mode():
        made = cast(Enhancer, listening.pipeline.enhancer)(listening.pipeline.features(observation[..., :n_levels]))
        samples, rate_hz = enhancer.sound(made.float().cpu(), torch.Generator().manual_seed(0))
    peak = float(samples.abs().max()) or 1.0
    audio.write(out, (samples[0] * (PEAK / peak)).numpy(), rate_hz)
    return samples.shape[1] / rate_hz


def picture(lab: Lab, path: Path, data: Spec, rates: Sequence[int] = (16000, 2000, 1000)) -> Path:
    """Draw one clip (a siren where there is one) as a classifier hears it at each rate: Mel spectrograms."""
    from hearless.pictures import spectrograms

    table = lab.table(data)
    clip = next((c for c in table.clips if c.labels[0] == "siren"), table.clips[0])
    panels = []
    for rate in rates:
        pipeline = settings("low_rate", data, backbone="mn02", bands=0).view(rate).build(len(table.labels)).eval()
        store = lab.store(table, [cast(Capture, pipeline.capture)])
        observation = pipeline.observe(torch.from_numpy(np.array(store.waveform(clip)))[None], store.rate_hz)
        title = f"{clip.labels[0]} at {rate / 1000:g} kHz"
        panels.append((title, pipeline.features(observation)[0, 0].numpy(), pipeline.axes(observation.shape[-1])))
    return spectrograms(panels, path, title="What a classifier hears", unit="log-Mel feature")
