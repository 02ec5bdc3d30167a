"""What all pictures of features ``[band, frame]`` share: ticks in Hz, time, colours, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearless.interfaces import Axes, HearlessError

TICKS_HZ = (125, 250, 500, 1000, 2000, 4000, 8000, 16000)

QUIETEST = 0.05
"""Share of the fullest panel's values that is drawn as the darkest colour."""

FACTOR = "factor"
"""The unit of a mask."""


def check(name: str, features: NDArray[Any], axes: Axes | None) -> None:
    """Refuse features that their axes do not describe; unknown axes describe whatever has two."""
    said = features.shape if axes is None else (len(axes.band_hz), axes.n_frames)
    if features.ndim != 2 or features.shape != said or features.size == 0:
        raise HearlessError(
            f"panel {name!r}: features must be [band, frame] = {said} as their axes say, got {features.shape}."
        )
    if not np.isfinite(features).all():
        raise HearlessError(f"panel {name!r}: features must be finite; put a floor under the logarithm.")


def colour_range(values: NDArray[Any], unit: str = "") -> dict[str, float]:
    """Return the values of the darkest and the brightest colour; a factor lies in 0 … 1, whatever it is."""
    if unit == FACTOR:
        return {"vmin": 0.0, "vmax": 1.0}
    quiet, loud = (float(end) for end in np.quantile(values, (QUIETEST, 1.0)))
    return {"vmin": quiet, "vmax": loud if loud > quiet else quiet + 1.0}


def times(axes: Axes) -> NDArray[Any]:
    """Return where frames meet ``[frame + 1]`` in s."""
    return axes.frame_s * np.arange(axes.n_frames + 1)
