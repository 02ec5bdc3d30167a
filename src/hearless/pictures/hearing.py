"""What a model's parts, or several classifiers, make of one sound, one below the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearless.interfaces import Axes, HearlessError
from hearless.pictures.features import TICKS_HZ, check, colour_range, times
from hearless.pictures.sheets import save, sheet

TICKS_APART = 0.06
"""Least distance of two ticks, as a share of a layer's height."""

NAME_WIDTH = 72
"""Characters in a line of a layer's name."""

LATE = 0.8
"""Share of a layer's time after which there is no room for a word."""


@dataclass(frozen=True)
class Layer:
    """What one part of a model makes of a sound.

    Attributes:
        name: what is drawn, in words.
        values: ``[band, frame]``.
        unit: of the values.
        axes: where they lie; None where nobody knows: bands are numbered, frames spread over the first layer's time.
        end_s: where the sound ends, in s: frames after it are padding and marked; None: there are none.
    """

    name: str
    values: NDArray[Any]
    unit: str
    axes: Axes | None
    end_s: float | None = None


@dataclass(frozen=True)
class Hearing:
    """What one classifier is given of a sound, and what it says.

    Attributes:
        layer: what it is given, or the mask that made it.
        said: what it says, a line each; nothing beside a mask.
        like: the number of an earlier one in the stack whose colours it shares; None: its own.
    """

    layer: Layer
    said: tuple[str, ...]
    like: int | None = None


def layers(stack: Sequence[Layer], path: Path, *, title: str = "") -> Path:
    """Draw what a model's parts make of one sound, one below the other on one time axis.

    Bands are drawn equally high, so that any spacing in Hz can be read; each layer has its own colours, the quietest
    `QUIETEST` of its values as the darkest.

    Args:
        stack: the layers from top to bottom; the first has axes.
        path: of the picture.
        title: above all of them.

    Raises:
        HearlessError: no layer, a first one without axes, values that do not fit their axes or are not finite.
    """
    if not stack or stack[0].axes is None:
        raise HearlessError("a picture needs a layer, the first with axes; give the front end's features first.")
    for layer in stack:
        check(layer.name, layer.values, layer.axes)
    figure, places = sheet(5 * len(stack), len(stack))
    for place, layer in zip(np.atleast_1d(places), stack, strict=True):
        _paint(figure, place, layer, stack[0].axes, colour_range(layer.values, layer.unit))
    place.set(xlabel="time (s)", xlim=(0.0, times(stack[0].axes)[-1]))
    return save(figure, path, title)


def hearings(stack: Sequence[Hearing], path: Path, *, title: str = "") -> Path:
    """Draw what several classifiers are given of one sound, one below the other, what each says beside it.

    The longest sets the time axis.

    Args:
        stack: from top to bottom; the first has axes.
        path: of the picture.
        title: above all of them.

    Raises:
        HearlessError: as `layers`, or ``like`` names none before.
    """
    if not stack or stack[0].layer.axes is None:
        raise HearlessError("a picture needs a hearing, the first with axes; give the front end's features first.")
    for i, one in enumerate(stack):
        check(one.layer.name, one.layer.values, one.layer.axes)
        if one.like is not None and not 0 <= one.like < i:
            raise HearlessError(f"{one.layer.name!r}: like must be the number of an earlier hearing, got {one.like}.")
    figure, places = sheet(5 * len(stack), len(stack), beside=True)
    for (place, words), one in zip(places, stack, strict=True):
        scale = one.layer if one.like is None else stack[one.like].layer
        _paint(figure, place, one.layer, stack[0].layer.axes, colour_range(scale.values, scale.unit))
        words.set_axis_off()
        words.text(0.0, 0.5, "\n".join(fill(line, 28) for line in one.said), va="center", parse_math=False)
    longest_s = max(float(times(one.layer.axes)[-1]) for one in stack if one.layer.axes)
    place.set(xlabel="time (s)", xlim=(0.0, longest_s))
    return save(figure, path, title)


def _paint(figure: Any, place: Any, layer: Layer, first: Axes, colours: dict[str, float]) -> None:
    """Draw a layer along its time, or along the first one's where nobody knows it, its padding hatched."""
    last_s = float(times(first if layer.axes is None else layer.axes)[-1])
    box = (0.0, last_s, -0.5, len(layer.values) - 0.5)
    image = place.imshow(layer.values, origin="lower", aspect="auto", extent=box, **colours)
    place.set_title(fill(layer.name, NAME_WIDTH, break_on_hyphens=False), parse_math=False)
    _name_bands(place, layer.axes)
    if layer.end_s is not None:
        _mark_padding(place, layer.end_s, last_s)
    figure.colorbar(image, ax=place, label=layer.unit, pad=0.01, extend="min")


def _mark_padding(place: Any, end_s: float, last_s: float) -> None:
    """Hatch what lies after the sound's end, a line before it; its name stands on the side where there is room."""
    place.axvspan(end_s, last_s, facecolor="none", edgecolor="0.7", hatch="///", linewidth=0)
    place.axvline(end_s, color="crimson", linewidth=1)
    side, said = ("right", "padding → ") if end_s > LATE * last_s else ("left", " padding")
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
    high = place.get_ylim()[1]
    place.text(end_s, high, said, ha=side, va="top", color="crimson", fontsize=9, bbox=box)


def _name_bands(place: Any, axes: Axes | None) -> None:
    """Say which Hz lie where among equally high bands, or number them."""
    if axes is None:
        place.set_ylabel("band")
        return
    ticks = _ticks(axes.band_hz)
    place.set_yticks(list(ticks), list(ticks.values()))
    place.set_ylabel("frequency (Hz)")


def _ticks(band_hz: Sequence[float]) -> dict[float, str]:
    """Return which Hz to write at which band, round ones where two of them are heard; none too near a higher one."""
    heard = [hz for hz in TICKS_HZ if band_hz[0] <= hz <= band_hz[-1]]
    found: dict[float, str] = {}
    for hz in reversed(heard if len(heard) > 1 else sorted({band_hz[0], band_hz[-1]})):
        height = float(np.interp(hz, band_hz, range(len(band_hz))))
        if not found or min(found) - height >= TICKS_APART * len(band_hz):
            found[height] = f"{hz:.4g}"
    return found
