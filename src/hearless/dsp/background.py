"""Background that is no sound of any class: noise of any colour, hum of the mains, gusts, and silence; made up."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hearless.interfaces import HearlessError

SILENT = 0.1
"""Share of backgrounds without any sound."""
LEVELS_DB = (-80.0, -10.0)
"""Their root mean square, against full scale."""
STEEPEST = 3.0
"""How power falls with frequency at the most: as f to this power down; white is 0, pink 1, brown 2."""
MAINS_HZ = (50.0, 60.0)


def background(rng: np.random.Generator, n_samples: int, rate_hz: int) -> Tensor:
    """Draw one background, float32 ``[time]``.

    Raises:
        HearlessError: fewer than two samples, or a rate that is not above 0.
    """
    if n_samples < 2 or rate_hz <= 0:
        raise HearlessError(f"a background needs two samples and a rate above 0, got {n_samples} at {rate_hz} Hz.")
    if rng.random() < SILENT:
        return torch.zeros(n_samples)
    sound = _coloured(rng, n_samples, rate_hz)
    if rng.random() < 0.25:
        sound += rng.uniform(0.2, 3.0) * _hum(rng, n_samples, rate_hz)
    if rng.random() < 0.5:
        sound *= _gusts(rng, n_samples, rate_hz)
    level = 10.0 ** (rng.uniform(*LEVELS_DB) / 20.0)
    return torch.from_numpy((level * _unit(sound)).astype(np.float32))


def _unit(sound: np.ndarray) -> np.ndarray:
    """Return sound with a root mean square of 1."""
    return np.asarray(sound / max(float(np.sqrt(np.mean(sound**2))), 1e-12))


def _coloured(rng: np.random.Generator, n_samples: int, rate_hz: int) -> np.ndarray:
    """Return noise whose power falls with frequency, half of it without what lies below and above some edges."""
    spectrum = np.fft.rfft(rng.standard_normal(n_samples))
    hz = np.maximum(np.fft.rfftfreq(n_samples, 1.0 / rate_hz), 1.0)
    spectrum *= hz ** (-rng.uniform(0.0, STEEPEST) / 2.0)
    if rng.random() < 0.5:
        low, high = np.sort(np.exp(rng.uniform(np.log(rate_hz / 500.0), np.log(rate_hz / 2.0), 2)))
        spectrum /= np.sqrt((1.0 + (low / hz) ** 4) * (1.0 + (hz / high) ** 4))
    return _unit(np.fft.irfft(spectrum, n_samples))


def _hum(rng: np.random.Generator, n_samples: int, rate_hz: int) -> np.ndarray:
    """Return a few harmonics of the mains below half of the rate."""
    time_s, first = np.arange(n_samples) / rate_hz, rng.choice(MAINS_HZ)
    harmonics = [n for n in range(1, 11) if n * first < rate_hz / 2.0]
    waves = [rng.random() / n * np.sin(2 * np.pi * (n * first * time_s + rng.random())) for n in harmonics]
    return _unit(np.sum([np.zeros(n_samples), *waves], axis=0))


def _gusts(rng: np.random.Generator, n_samples: int, rate_hz: int) -> np.ndarray:
    """Return a loudness that comes and goes within seconds."""
    n_points = 2 + round(rng.uniform(0.5, 3.0) * n_samples / rate_hz)
    return np.interp(np.linspace(0, n_points - 1, n_samples), np.arange(n_points), rng.uniform(0.1, 1.0, n_points))
