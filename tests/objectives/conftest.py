"""What several tests of inner maps share: an average over places, written out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

Array = NDArray[np.float64]


def average(maps: Array, bands: int, frames: int) -> Array:
    """Return ``[batch, channel, band, frame]`` averaged to so many bands and frames, each over all that it touches."""
    found = np.zeros((*maps.shape[:2], bands, frames))
    for i in range(bands):
        for k in range(frames):
            rows = slice(maps.shape[2] * i // bands, -(-maps.shape[2] * (i + 1) // bands))
            columns = slice(maps.shape[3] * k // frames, -(-maps.shape[3] * (k + 1) // frames))
            found[:, :, i, k] = maps[:, :, rows, columns].mean((2, 3))
    return found


@pytest.fixture
def averaged() -> Callable[[Array, int, int], Array]:
    """Return the average over places."""
    return average
