"""Pictures of what a sensor hears, what a model makes of it and what a table says: PNG, SVG or PDF, as the ending says.

matplotlib is imported inside and draws without a display.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearless.interfaces import Axes, HearlessError
from hearless.report import Report, show
from hearless.statistics import Measure

Panel = tuple[str, NDArray[Any], Axes]
"""What a sensor is called, its features ``[band, frame]`` and where they lie."""

TICKS_HZ = (125, 250, 500, 1000, 2000, 4000, 8000, 16000)
TICKS_APART = 0.06
"""Least distance of two ticks, as a share of a layer's height."""

QUIETEST = 0.05
"""Share of the fullest panel's values that is drawn as the darkest colour."""


@dataclass(frozen=True)
class Layer:
    """What one part of a model makes of a sound.

    Attributes:
        name: what is drawn, in words.
        values: ``[band, frame]``.
        unit: of the values.
        axes: where they lie; None where nobody knows: bands are numbered, frames spread over the first layer's time.
    """

    name: str
    values: NDArray[Any]
    unit: str
    axes: Axes | None


@dataclass(frozen=True)
class Hours:
    """What was heard at which hour of the day.

    Attributes:
        labels: the sources, those heard most first.
        scores: mean scores ``[label, hour]``, NaN where nothing was measured.
        heard_s: seconds of levels in each hour ``[hour]``.
        days: the days these are from.
        clock: what its hours are.
    """

    labels: tuple[str, ...]
    scores: NDArray[Any]
    heard_s: NDArray[Any]
    days: tuple[date, ...]
    clock: str = "hour of the log's clock"


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
        _check(name, features, axes)
    if not panels:
        raise HearlessError("a picture needs a panel, got none.")
    fullest = max(panels, key=lambda panel: panel[2].band_hz[-1])
    colours = _colours(fullest[1])
    figure, places = _figure(len(panels))
    for place, (name, features, axes) in zip(places, panels, strict=True):
        mesh = place.pcolormesh(_times(axes), _edges(axes), features, **colours)
        _dress(place, name, axes, fullest[2])
    places[0].set_ylabel("frequency (Hz)")
    figure.colorbar(mesh, ax=list(places), label=unit, pad=0.01)
    return _save(figure, path, title)


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
        _check(layer.name, layer.values, layer.axes)
    figure, places = _sheet(5 * len(stack), len(stack))
    for place, layer in zip(np.atleast_1d(places), stack, strict=True):
        end_s = float(_times(stack[0].axes if layer.axes is None else layer.axes)[-1])
        box = (0.0, end_s, -0.5, len(layer.values) - 0.5)
        image = place.imshow(layer.values, origin="lower", aspect="auto", extent=box, **_colours(layer.values))
        place.set(title=layer.name, xlim=(0.0, _times(stack[0].axes)[-1]))
        _name_bands(place, layer.axes)
        figure.colorbar(image, ax=place, label=layer.unit, pad=0.01, extend="min")
    place.set_xlabel("time (s)")
    return _save(figure, path, title)


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


def bars(report: Report, path: Path, *, metric: str | None = None) -> Path:
    """Draw a metric of a report as bars with their intervals, a paper's numbers as diamonds; a hole says so.

    Args:
        report: the table.
        path: of the picture.
        metric: one of the report's columns, None: the first.
    """
    name = report.columns[0] if metric is None else metric
    if name not in report.columns:
        raise HearlessError(f"metric must be one of {', '.join(report.columns)}, got {name!r}.")
    scale = 100.0 if report.unit(name) == "%" else 1.0
    figure, place = _sheet(len(report.rows))
    for height, row in enumerate(report.rows):
        _bar(place, height, row.metrics.get(name), report.unit(name))
    published = {h: row.published[name] for h, row in enumerate(report.rows) if row.published and name in row.published}
    if published:
        heights, values = list(published), [scale * value for value in published.values()]
        place.plot(values, heights, "D", color="black", markerfacecolor="white", label=report.published_heading)
        figure.legend(loc="outside lower center", frameon=False)
    place.set_yticks(range(len(report.rows)), [row.label for row in report.rows])
    place.set_ylim(len(report.rows) - 0.5, -0.5)
    place.set_xlim(*((0, 100) if scale == 100 else (None, None)))
    place.set_xlabel(f"{name} ({report.unit(name)}); lines: 95 % intervals" if report.unit(name) else name)
    return _save(figure, path, report.title)


def day(hours: Hours, path: Path, *, top: int = 12, title: str = "") -> Path:
    """Draw sources by the hour of a day as a heat map; hours without levels are grey.

    Colours go with the square root of the score, so that a rare siren shows beside steady traffic.

    Args:
        hours: what was heard when.
        path: of the picture.
        top: how many sources, those heard most.
        title: above it; default: the day, or how many days are averaged.

    Raises:
        HearlessError: no source, or scores that are not ``[label, 24]``.
    """
    if not hours.labels or hours.scores.shape != (len(hours.labels), 24) or top < 1:
        raise HearlessError(
            f"a picture of a day needs sources, 24 hours and top of at least 1, got {len(hours.labels)} sources, "
            f"scores of shape {hours.scores.shape} and {top}."
        )
    from matplotlib.colors import PowerNorm

    shown = hours.scores[:top]
    figure, place = _sheet(len(shown))
    place.set_facecolor("0.85")
    loudest = float(np.nanmax(shown)) if np.isfinite(shown).any() else 0.0
    image = place.imshow(shown, aspect="auto", cmap="magma_r", norm=PowerNorm(0.5, 0.0, loudest or 1.0))
    place.set_yticks(range(len(shown)), [fill(label, 28) for label in hours.labels[:top]], parse_math=False)
    place.set_xticks(np.arange(0, 25, 3) - 0.5, [f"{hour}:00" for hour in range(0, 25, 3)])
    place.set_xticks(np.arange(24) - 0.5, minor=True)
    place.set_yticks(np.arange(len(shown)) - 0.5, minor=True)
    place.grid(which="minor", color="white", linewidth=0.5)
    place.tick_params(which="minor", length=0)
    place.set_xlabel(hours.clock + ("; grey: no levels" if (hours.heard_s == 0).any() else ""))
    figure.colorbar(image, ax=place, label="mean score", pad=0.01)
    first, last = hours.days[0], hours.days[-1]
    said = f"{first}" if first == last else f"the mean of {len(hours.days)} days, {first} to {last}"
    return _save(figure, path, title or f"Sources by hour, {said}")


def _bar(place: Any, height: int, measure: Measure | None, unit: str) -> None:
    """Draw one row's bar, or say that it is missing."""
    if measure is None or np.isnan(measure.value):
        place.text(0, height, " missing", va="center", color="firebrick")
        return
    value, low, high = np.array([measure.value, measure.low, measure.high]) * (100 if unit == "%" else 1)
    place.barh(height, value, color="lightsteelblue", height=0.6)
    place.text(0, height, f" {show(Measure(measure.value), unit)}", va="center", fontweight="bold")
    if not np.isnan(low):
        place.errorbar(value, height, xerr=[[max(0, value - low)], [max(0, high - value)]], color="black", capsize=4)


def _check(name: str, features: NDArray[Any], axes: Axes | None) -> None:
    """Refuse features that their axes do not describe; unknown axes describe whatever has two."""
    said = features.shape if axes is None else (len(axes.band_hz), axes.n_frames)
    if features.ndim != 2 or features.shape != said or features.size == 0:
        raise HearlessError(
            f"panel {name!r}: features must be [band, frame] = {said} as their axes say, got {features.shape}."
        )
    if not np.isfinite(features).all():
        raise HearlessError(f"panel {name!r}: features must be finite; put a floor under the logarithm.")


def _colours(values: NDArray[Any]) -> dict[str, float]:
    """Return the values of the darkest and the brightest colour."""
    quiet, loud = (float(end) for end in np.quantile(values, (QUIETEST, 1.0)))
    return {"vmin": quiet, "vmax": loud if loud > quiet else quiet + 1.0}


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


def _times(axes: Axes) -> NDArray[Any]:
    """Return where frames meet ``[frame + 1]`` in s."""
    return axes.frame_s * np.arange(axes.n_frames + 1)


def _dress(place: Any, name: str, axes: Axes, fullest: Axes) -> None:
    """Give a panel its title, its axes in Hz and s and grey where nothing is heard."""
    top, heard = _edges(fullest)[-1], _edges(axes)[-1]
    if heard < 0.9 * top:
        middle = axes.frame_s * axes.n_frames / 2
        place.text(middle, (top + heard) / 2, "not heard", ha="center", va="center", color="0.4")
    ticks = [hz for hz in TICKS_HZ if _mel(hz) <= top * 1.01]
    place.set(title=name, xlabel="time (s)", ylim=(0, top), facecolor="0.85")
    place.set_yticks(_mel(ticks), [str(hz) for hz in ticks])


def _figure(n_panels: int) -> tuple[Any, Any]:
    """Return a sheet with panels side by side that share the frequency axis."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.5 + 3.6 * n_panels, 4.2), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(1, n_panels, sharey=True, squeeze=False)[0]


def _sheet(n_rows: int, n_places: int = 1) -> tuple[Any, Any]:
    """Return a sheet tall enough for its rows, with one set of axes, or several below each other on one time axis."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 1.8 + 0.45 * n_rows), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(n_places, 1, sharex=True)


def _save(figure: Any, path: Path, title: str) -> Path:
    """Write the picture; say why if that fails."""
    figure.suptitle(title, parse_math=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from font")
            figure.savefig(path)
    except (OSError, ValueError) as error:
        raise HearlessError(f"{path} could not be written: {error}; free some space or name another file.") from error
    return path
