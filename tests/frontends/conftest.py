"""Tones and the law that the native path and the up-sampled one share."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor


def make_tones(hz: Tensor, rate_hz: int, seconds: float = 3.0) -> Tensor:
    """Return one tone a row, each with a phase of its own: float64 ``[tone, time]``."""
    time = torch.arange(round(seconds * rate_hz), dtype=torch.float64) / rate_hz
    phase = torch.arange(len(hz), dtype=torch.float64)[:, None]
    return 0.3 * torch.sin(2.0 * math.pi * hz[:, None].double() * time + phase)


@pytest.fixture
def tones() -> Callable[..., Tensor]:
    return make_tones


@pytest.fixture
def tone_error() -> Callable[[Tensor, Tensor], float]:
    """Return the largest difference of two features in the second one's loudest band, averaged over frames.

    The first and last frames hear the reflected (or, up-sampled, silent) edge, not the tone.
    """

    def largest(ours: Tensor, theirs: Tensor) -> float:
        ours, theirs = ours[:, 0, :, 40:-40].mean(-1), theirs[:, 0, :, 40:-40].mean(-1)
        loudest = theirs.argmax(dim=1, keepdim=True)
        return float((ours - theirs).gather(1, loudest).abs().max())

    return largest


@pytest.fixture(params=[250, 500, 1000, 2000, 4000, 8000])
def sensor(request) -> tuple[int, Tensor]:
    """A rate and the tones that must survive it: up to 0.8 of its Nyquist, at 250 Hz up to 0.6."""
    highest = (0.6 if request.param == 250 else 0.8) * request.param / 2.0
    return request.param, torch.linspace(min(60.0, 0.5 * highest), highest, 33, dtype=torch.float64)
