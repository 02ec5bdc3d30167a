"""Front ends and the resampler: ms a clip of 5 s, on one thread and on all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import soxr
import torch
from measure import Row, Way, cores, faster, in_turn, threads
from plain import RATE_HZ, Samples, log_mel, log_mel_batched, preemphasis_mel, preemphasis_mel_batched
from torch import Tensor

from hearless.dsp.resample import resample
from hearless.frontends.log_mel import LogMel
from hearless.frontends.preemphasis_mel import PreEmphasisMel

CLIP_S = 5.0
LOW_HZ = 1000


def noise(n_clips: int, clip_s: float = CLIP_S) -> Tensor:
    """Return white noise ``[clip, time]`` at 16 kHz."""
    samples = np.random.default_rng(0).standard_normal((n_clips, round(clip_s * RATE_HZ)), np.float32)
    return torch.from_numpy(0.1 * samples)


def rows(repeats: int, n_clips: int = 32, clip_s: float = CLIP_S) -> Iterator[Row]:
    """Measure every front end and the resampler, on one thread and on all."""
    clips = noise(n_clips, clip_s)
    low = resample(clips, RATE_HZ, LOW_HZ)
    for n in dict.fromkeys((1, cores())):
        with threads(n), torch.inference_mode():
            found = [
                faster(f"{what}, ms a clip", *in_turn(ours, plain, repeats), scale=1000.0 / n_clips, aim=aim)
                for what, ours, plain, aim in _pairs(clips, low)
            ]
        yield from found


def _pairs(clips: Tensor, low: Tensor) -> Iterator[tuple[str, Way, Way, str]]:
    """Yield what is compared: its name, our way, the plain way, the aim."""
    panns, panns_low = LogMel(input_rate_hz=RATE_HZ), LogMel(input_rate_hz=LOW_HZ)
    mn, mn_low = PreEmphasisMel(input_rate_hz=RATE_HZ), PreEmphasisMel(input_rate_hz=LOW_HZ)

    def by_librosa(function: Callable[[Samples], Any]) -> Way:
        return lambda: [function(clip.numpy()) for clip in clips]

    def soxr_each() -> list[Samples]:
        return [soxr.resample(clip.numpy(), RATE_HZ, LOW_HZ) for clip in clips]

    yield "LogMel, 16 kHz / librosa, 16 kHz", lambda: panns(clips), by_librosa(log_mel), "≥ 3"
    yield "LogMel, 1 kHz / librosa, 16 kHz", lambda: panns_low(low), by_librosa(log_mel), "≥ 25"
    yield "LogMel, 16 kHz / batched torch.stft", lambda: panns(clips), lambda: log_mel_batched(clips), ""
    yield "PreEmphasisMel, 16 kHz / librosa, 16 kHz", lambda: mn(clips), by_librosa(preemphasis_mel), ""
    yield "PreEmphasisMel, 1 kHz / librosa, 16 kHz", lambda: mn_low(low), by_librosa(preemphasis_mel), ""
    yield "PreEmphasisMel, 16 kHz / batched torch.stft", lambda: mn(clips), lambda: preemphasis_mel_batched(clips), ""
    yield "resample, 16 → 1 kHz / soxr", lambda: resample(clips, RATE_HZ, LOW_HZ), soxr_each, ""
