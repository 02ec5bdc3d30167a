"""What several sensors hear of one clip, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearless.interfaces import Axes, HearlessError
from hearless.pictures.features import TICKS_HZ, check, colour_range, times
from hearless.pictures.sheets import save, side_by_side

Panel = tuple[str, NDArray[Any], Axes]
"""What a sensor is called, its features ``[band, frame]`` and where they lie."""


def spectrograms(panels: Sequence[Panel], path: Path, *, title: str = "", unit: str = "level (dB)") -> Path:
    """Draw what several sensors hear of one clip, side by side on one Mel-spaced axis and one colour scale.

    Args:
        panels: title, features ``[band, frame]`` and axes of each; the colours are set by the one that hears highest.
        path: of the picture.
        title: above all of them, in plain words.
        unit: of the features.

    Raises:
        HearlessError: no panel, features that do not fit their axes, or nothing finite in them.
    """
    for name, features, axes in panels:
        check(name, features, axes)
    if not panels:
        raise HearlessError("a picture needs a panel, got none.")
    fullest = max(panels, key=lambda panel: panel[2].band_hz[-1])
    colours = colour_range(fullest[1])
    figure, places = side_by_side(len(panels))
    for place, (name, features, axes) in zip(places, panels, strict=True):
        mesh = place.pcolormesh(times(axes), _edges(axes), features, **colours)
        _dress(place, name, axes, fullest[2])
    places[0].set_ylabel("frequency (Hz)")
    figure.colorbar(mesh, ax=list(places), label=unit, pad=0.01)
    return save(figure, path, title)


def _mel(hz: Any) -> Any:
    """Return Hz on the Mel scale (O'Shaughnessy, 1987), the height in the picture."""
    return 2595 * np.log10(1 + np.asarray(hz, dtype=np.float64) / 700)


def _edges(axes: Axes) -> NDArray[Any]:
    """Return where bands meet ``[band + 1]``: halfway between centres on the Mel scale."""
    centres = _mel(axes.band_hz)
    if len(centres) == 1:
        return np.array([0.0, 2 * centres[0]])
    middles = (centres[1:] + centres[:-1]) / 2
    ends = 2 * centres[[0, -1]] - middles[[0, -1]]
    return np.concatenate([[max(0.0, ends[0])], middles, [ends[1]]])


def _dress(place: Any, name: str, axes: Axes, fullest: Axes) -> None:
    """Give a panel its title, its axes in Hz and s and grey where nothing is heard."""
    top, heard = _edges(fullest)[-1], _edges(axes)[-1]
    if heard < 0.9 * top:
        middle = axes.frame_s * axes.n_frames / 2
        place.text(middle, (top + heard) / 2, "not heard", ha="center", va="center", color="0.4")
    ticks = [hz for hz in TICKS_HZ if _mel(hz) <= top * 1.01]
    place.set(title=name, xlabel="time (s)", ylim=(0, top), facecolor="0.85")
    place.set_yticks(_mel(ticks), [str(hz) for hz in ticks])
