"""Third-octave levels: how fast they are measured from sound, and how fast a day of them is read by YAMNet.

The day is extrapolated from a few minutes: batches of as many seconds as `hearless predict` takes, one after the other.
YAMNet and the transcoders have random weights, which cost what trained ones do.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from measure import Row, Way, cores, faster, in_turn, real_time, seconds, threads
from plain import LEVEL_RATE_HZ, Samples, third_octave
from torch import Tensor

from hearless.captures.third_octave import ThirdOctave
from hearless.datasets.folder_labels import FolderLabels
from hearless.door import Model
from hearless.logs.windows import BATCH
from hearless.pipeline import PipelineSpec
from hearless.recipes.spectral_transcoder import cnn_logits, light, pinv
from hearless.recipes.spectral_transcoder.settings import from_words
from hearless.spec import spec

HOUR_S, DAY_S = 3600.0, 86400.0
CLASSES = 521
BANDS, LEVELS_PER_S = 29, 8


def rows(repeats: int, minutes: float = 2.0, n_clips: int = 12, clip_s: float = 10.0) -> Iterator[Row]:
    """Measure the extraction on one thread and on all, then transcoders with YAMNet behind them on all."""
    clips = sound(n_clips, clip_s)
    for n in dict.fromkeys((1, cores())):
        with threads(n), torch.inference_mode():
            found = list(extraction(clips, repeats, "≥ 10000" if n == cores() else ""))
        yield from found
    yield from reading(minutes, math.ceil(repeats / 3))


def sound(n_clips: int, clip_s: float) -> Tensor:
    """Return white noise ``[clip, time]`` at 32 kHz."""
    samples = np.random.default_rng(0).standard_normal((n_clips, round(clip_s * LEVEL_RATE_HZ)), np.float32)
    return torch.from_numpy(0.1 * samples)


def extraction(clips: Tensor, repeats: int, aim: str) -> Iterator[Row]:
    """Measure the fast levels of clips ``[clip, time]`` against the plain loop, and against how long they last."""
    capture = ThirdOctave().eval()

    def plain() -> list[Samples]:
        return [third_octave(clip.numpy()) for clip in clips]

    ours, loops = in_turn(lambda: capture(clips, LEVEL_RATE_HZ), plain, repeats)
    heard_s = clips.numel() / LEVEL_RATE_HZ
    yield faster("third octaves / a loop over frames, s an hour of sound", ours, loops, HOUR_S / heard_s, "≥ 4")
    yield real_time("third octaves / real time, s an hour of sound", ours, heard_s, HOUR_S, aim)


def reading(minutes: float, repeats: int) -> Iterator[Row]:
    """Measure levels → Mel → YAMNet's scores for each transcoder; the first, not learned, is YAMNet's own share."""
    batches = log(minutes)
    heard_s = sum(len(batch) for batch in batches)
    times = all_in_turn({name: listening(model, batches) for name, model in transcoders().items()}, repeats)
    for name, each in times.items():
        what = f"YAMNet behind the {name} transcoder / real time, s a day of fast levels (from {minutes:g} min)"
        yield real_time(what, each, heard_s, DAY_S)
    what = f"YAMNet behind the light / the full CNN transcoder, s a day of fast levels (from {minutes:g} min)"
    yield faster(what, times["light"], times["full CNN"], DAY_S / heard_s)


def transcoders() -> dict[str, Model]:
    """Return YAMNet behind each transcoder, as users have it but for its weights."""
    settings = from_words(spec(FolderLabels), backbone="yamnet")
    made = {"PINV": pinv.recipe(settings), "light": light.recipe(settings), "full CNN": cnn_logits.recipe(settings)}
    return {name: model(recipe.student, name) for name, recipe in made.items()}


def model(student: PipelineSpec, name: str) -> Model:
    """Return an untrained listener to levels."""
    return Model(student.build(CLASSES).on("cpu").eval(), tuple(map(str, range(CLASSES))), True, 1.0, name)


def log(minutes: float) -> list[Samples]:
    """Return levels ``[second, band, frame]`` in dB, in batches."""
    n = max(1, round(minutes * 60))
    levels_db = np.random.default_rng(0).normal(-30.0, 8.0, (n, BANDS, LEVELS_PER_S)).astype(np.float32)
    return [levels_db[start : start + BATCH] for start in range(0, n, BATCH)]


def listening(model: Model, batches: list[Samples]) -> Way:
    """Return what names the sources of all batches."""
    listener = model.level_listener()
    return lambda: [listener.classify(batch) for batch in batches]


def all_in_turn(ways: Mapping[str, Way], repeats: int) -> dict[str, list[float]]:
    """Time ways one after the other, again and again, after one call of each to warm up; return seconds a call."""
    for way in ways.values():
        way()
    rounds = [{name: seconds(way, 1) for name, way in ways.items()} for _ in range(repeats)]
    return {name: [one[name] for one in rounds] for name in ways}
