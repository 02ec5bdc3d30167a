"""Pictures of what a sensor hears, what a model makes of it and what a table says: PNG, SVG or PDF, as the ending says.

matplotlib is imported inside and draws without a display.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
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
LEAST_SHOWN = 0.005
"""Shares below it are drawn without a number."""

TICKS_APART = 0.06
"""Least distance of two ticks, as a share of a layer's height."""

MANY = 8
"""Points along an axis that each have a tick, at most."""

ACROSS = 5
"""Small panels side by side, at most."""

QUIETEST = 0.05
"""Share of the fullest panel's values that is drawn as the darkest colour."""


FACTOR = "factor"
"""The unit of a mask."""


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
class Hearing:
    """What one classifier is given of a sound, and what it says.

    Attributes:
        layer: what it is given.
        said: what it says, a line each.
        like: the number of an earlier one in the stack whose colours it shares; None: its own.
    """

    layer: Layer
    said: tuple[str, ...]
    like: int | None = None


@dataclass(frozen=True)
class Cloud:
    """Points of two measures.

    Attributes:
        across, up: the measures, in words.
        points: across, up, label and whether it steps back into grey; NaN leaves a point out.
    """

    across: str
    up: str
    points: Sequence[tuple[float, float, str, bool]]


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


@dataclass(frozen=True)
class Curve:
    """A measure along one quantity.

    Attributes:
        along: the quantity, in words.
        lines: by name, points of the quantity (above 0) and the measure there; NaN leaves a point out.
    """

    along: str
    lines: Mapping[str, Sequence[tuple[float, Measure]]]


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
        _paint(figure, place, layer, stack[0].axes, _colours(layer.values, layer.unit))
    place.set_xlabel("time (s)")
    return _save(figure, path, title)


def hearings(stack: Sequence[Hearing], path: Path, *, title: str = "") -> Path:
    """Draw what several classifiers are given of one sound, one below the other, what each says beside it.

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
        _check(one.layer.name, one.layer.values, one.layer.axes)
        if one.like is not None and not 0 <= one.like < i:
            raise HearlessError(f"{one.layer.name!r}: like must be the number of an earlier hearing, got {one.like}.")
    figure, places = _sheet(5 * len(stack), len(stack), beside=True)
    for (place, words), one in zip(places, stack, strict=True):
        scale = one.layer if one.like is None else stack[one.like].layer
        _paint(figure, place, one.layer, stack[0].layer.axes, _colours(scale.values))
        words.set_axis_off()
        words.text(0.0, 0.5, "\n".join(fill(line, 28) for line in one.said), va="center", parse_math=False)
    place.set_xlabel("time (s)")
    return _save(figure, path, title)


def _paint(figure: Any, place: Any, layer: Layer, first: Axes, colours: dict[str, float]) -> None:
    """Draw a layer on the time axis of the first one."""
    end_s = float(_times(first if layer.axes is None else layer.axes)[-1])
    box = (0.0, end_s, -0.5, len(layer.values) - 0.5)
    image = place.imshow(layer.values, origin="lower", aspect="auto", extent=box, **colours)
    place.set(title=layer.name, xlim=(0.0, _times(first)[-1]))
    _name_bands(place, layer.axes)
    figure.colorbar(image, ax=place, label=layer.unit, pad=0.01, extend="min")


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


def curves(panels: Sequence[Curve], path: Path, *, title: str = "", measure: str = "", unit: str = "%") -> Path:
    """Draw a measure with its intervals along quantities that double, side by side on one axis.

    Args:
        panels: one a quantity, drawn on a logarithmic axis.
        path: of the picture.
        title: above all of them.
        measure: what is drawn, in words.
        unit: of it; "%" draws fractions as percent.

    Raises:
        HearlessError: no panel, one without a point, or a quantity that is not above 0.
    """
    drawn = {panel.along: _points_of(panel) for panel in panels}
    if not _each_measured(drawn):
        raise HearlessError(f"a picture of curves needs a measured point along each of {list(drawn)}; train some rows.")
    figure, places = _figure(len(panels), 5.0)
    scale = 100.0 if unit == "%" else 1.0
    for place, (along, lines) in zip(places, drawn.items(), strict=True):
        for name, points in lines.items():
            _line(place, name, points, scale)
        ticks = sorted({x for points in lines.values() for x, _ in points})
        place.set_xscale("log", base=2)
        place.minorticks_off()
        place.set_xticks(ticks, [_short(x) for x in ticks]) if len(ticks) <= MANY else None
        place.set_xlabel(along)
        place.grid(color="0.9")
        place.legend(frameon=False)
    places[0].set_ylabel(f"{measure} ({unit}); bars: 95 % intervals" if unit else measure)
    return _save(figure, path, title)


def multiples(panels: Mapping[str, Curve], path: Path, *, title: str = "", measure: str = "", unit: str = "%") -> Path:
    """Draw the same curves for many things, a small panel each, all on the same two axes.

    Args:
        panels: by name; lines of one name have one colour everywhere.
        path: of the picture.
        title: above all of them.
        measure: what is drawn, in words.
        unit: of it; "%" draws fractions as percent.

    Raises:
        HearlessError: no panel, one without a point, or a quantity that is not above 0.
    """
    drawn = {name: _points_of(panel) for name, panel in panels.items()}
    if not _each_measured(drawn):
        raise HearlessError("small multiples need a measured point in each panel; train some rows.")
    wide = min(ACROSS, len(drawn))
    figure, places = _grid(-(-len(drawn) // wide), wide)
    colours = {name: f"C{i}" for i, name in enumerate(dict.fromkeys(n for lines in drawn.values() for n in lines))}
    scale = 100.0 if unit == "%" else 1.0
    ticks = sorted({x for lines in drawn.values() for points in lines.values() for x, _ in points})
    for place, (name, lines) in zip(places, drawn.items(), strict=False):
        for line, points in lines.items():
            _line(place, line, points, scale, colours[line])
        place.set_title(fill(name, 24), fontsize=10, parse_math=False)
        place.set_xscale("log", base=2)
        place.minorticks_off()
        place.set_xticks(ticks, [_short(x) for x in ticks], rotation=90) if len(ticks) <= MANY else None
        place.grid(color="0.9")
    for place in places[len(drawn) :]:
        place.set_axis_off()
    handles, names = places[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), frameon=False)
    for number in range(max(0, len(drawn) - wide), len(drawn)):
        places[number].tick_params(labelbottom=True)
    places[len(drawn) - 1].set_xlabel(next(iter(panels.values())).along)
    figure.supylabel(f"{measure} ({unit}); bars: 95 % intervals" if unit else measure, fontsize=10)
    return _save(figure, path, title)


def dots(
    lines: Mapping[str, Mapping[str, Measure]], path: Path, *,
    published: Mapping[str, Mapping[str, float]] | None = None, title: str = "", measure: str = "", unit: str = "%",
    heading: str = "paper",
) -> Path:  # fmt: skip
    """Draw a measure of several things side by side for each of many categories, with intervals.

    Args:
        lines: by name, the measure by category; categories stand from top to bottom as they first appear.
        path: of the picture.
        published: a paper's numbers by the same names, hollow diamonds of the same colour.
        title: above it.
        measure: what is drawn, in words.
        unit: of it; "%" draws fractions as percent.
        heading: what the diamonds are.

    Raises:
        HearlessError: nothing is measured, or a published number of a name that is not drawn.
    """
    names = list(dict.fromkeys(name for values in lines.values() for name in values))
    if not names or (unknown := [name for name in published or {} if name not in lines]):
        raise HearlessError(f"a picture of categories needs measures of {unknown if names else 'at least one'}.")
    figure, place = _sheet(1 + round(len(names) * (0.4 + 0.4 * len(lines))))
    scale, apart = (100.0 if unit == "%" else 1.0), 0.8 / len(lines)
    for number, (line, values) in enumerate(lines.items()):
        shift = apart * (number - (len(lines) - 1) / 2)
        for row, name in enumerate(names):
            _dot(place, row + shift, values.get(name), scale, f"C{number}", line if row == 0 else None)
        numbers = {names.index(n) + shift: scale * v for n, v in (published or {}).get(line, {}).items() if n in names}
        label = f"{line}, {heading}"
        place.plot(list(numbers.values()), list(numbers), "D", color=f"C{number}", markerfacecolor="white", ms=5,
                   label=label) if numbers else None  # fmt: skip
    place.set_yticks(range(len(names)), [fill(name, 28) for name in names], parse_math=False)
    place.set_ylim(len(names) - 0.5, -0.5)
    for border in range(1, len(names)):
        place.axhline(border - 0.5, color="0.9", linewidth=0.8)
    place.set_xlabel(f"{measure} ({unit}); lines: 95 % intervals" if unit else measure)
    figure.legend(loc="outside lower center", ncols=min(4, len(lines)), frameon=False)
    return _save(figure, path, title)


def _dot(place: Any, height: float, measure: Measure | None, scale: float, colour: str, label: str | None) -> None:
    """Draw one point with its interval where that is known; a missing one is left out, its label kept."""
    value, low, high = (np.nan, np.nan, np.nan) if measure is None else (measure.value, measure.low, measure.high)
    ends = np.nan_to_num(np.maximum(0.0, [[value - low], [high - value]])) * scale
    place.errorbar(scale * value, height, xerr=ends, fmt="o", ms=4, color=colour, capsize=2, label=label)


def heat_map(
    cells: Mapping[tuple[str, str], Measure], path: Path, *, along: tuple[str, str], title: str = "",
    measure: str = "", unit: str = "%",
) -> Path:  # fmt: skip
    """Draw a measure of two settings as a map with numbers in its cells, the best one framed; a missing one is grey.

    Args:
        cells: the measure by (upright setting, level setting), in the order in which they are drawn.
        path: of the picture.
        along: what the two settings are called, the upright one first.
        title: above it.
        measure: what is drawn, in words.
        unit: of it; "%" draws fractions as percent.

    Raises:
        HearlessError: nothing is measured.
    """
    from matplotlib.patches import Rectangle

    known = {place: one for place, one in cells.items() if not np.isnan(one.value)}
    if not known:
        raise HearlessError("a heat map needs a measured cell; train some rows.")
    rows, columns = (list(dict.fromkeys(place[axis] for place in cells)) for axis in (0, 1))
    values = np.full((len(rows), len(columns)), np.nan)
    for (row, column), one in known.items():
        values[rows.index(row), columns.index(column)] = one.value * (100.0 if unit == "%" else 1.0)
    figure, place = _sheet(2 * len(rows))
    place.set_facecolor("0.85")
    image = place.imshow(values, aspect="auto", cmap="viridis")
    middle = (np.nanmin(values) + np.nanmax(values)) / 2
    for (row, column), one in known.items():
        x, y = columns.index(column), rows.index(row)
        colour = "black" if values[y, x] > middle else "white"
        place.text(x, y, show(one, unit).replace(" [", "\n["), ha="center", va="center", color=colour, fontsize=9)
    best = np.unravel_index(np.nanargmax(values), values.shape)
    place.add_patch(Rectangle((best[1] - 0.47, best[0] - 0.47), 0.94, 0.94, fill=False, edgecolor="crimson", lw=2.5))
    place.set_yticks(range(len(rows)), rows)
    place.set_xticks(range(len(columns)), columns)
    place.set(ylabel=along[0], xlabel=along[1])
    figure.colorbar(image, ax=place, label=f"{measure} ({unit})" if unit else measure, pad=0.01)
    return _save(figure, path, title)


def similarities(
    panels: Mapping[str, tuple[Sequence[str], Sequence[str], NDArray[Any]]], path: Path, *, along: tuple[str, str],
    title: str = "", measure: str = "",
) -> Path:  # fmt: skip
    """Draw how alike the parts of two things are, one matrix beside the other on one colour scale of 0 to 1.

    Args:
        panels: by name, the names of the upright and of the level parts and the values between them.
        path: of the picture.
        along: what has the upright parts and what the level ones.
        title: above all of them.
        measure: what is drawn, in words.

    Raises:
        HearlessError: no panel, or values that do not fit their names.
    """
    if not panels or any(values.shape != (len(rows), len(columns)) for rows, columns, values in panels.values()):
        raise HearlessError("a picture of similarities needs panels, each with a value for every pair of names.")
    figure, places = _figure(len(panels), 4.6)
    figure.set_figheight(6)
    for place, (name, (rows, columns, values)) in zip(places, panels.items(), strict=True):
        place.set_facecolor("0.85")
        image = place.imshow(values, aspect="auto", cmap="magma", vmin=0, vmax=1, origin="lower")
        place.set_xticks(range(len(columns)), columns, rotation=90, fontsize=8)
        place.set_yticks(range(len(rows)), rows, fontsize=8)
        place.set(title=name, xlabel=along[1])
    places[0].set_ylabel(along[0])
    figure.colorbar(image, ax=list(places), label=measure, pad=0.01)
    return _save(figure, path, title)


def _short(x: float) -> str:
    return f"{x:.3g}" if x < 1000 else f"{x:.0f}"


def _each_measured(drawn: Mapping[str, Mapping[str, Sequence[tuple[float, Measure]]]]) -> bool:
    """Say whether there is a panel, and in each a line with a point."""
    return bool(drawn) and all(any(lines.values()) for lines in drawn.values())


def _points_of(panel: Curve) -> dict[str, list[tuple[float, Measure]]]:
    """Return a panel's measured points from left to right."""
    if wrong := sorted(x for points in panel.lines.values() for x, _ in points if not x > 0):
        raise HearlessError(f"{panel.along} must be above 0 to be drawn along, got {wrong[0]}.")
    return {
        name: sorted(((x, one) for x, one in points if not np.isnan(one.value)), key=lambda point: point[0])
        for name, points in panel.lines.items()
    }


def _line(
    place: Any, name: str, points: Sequence[tuple[float, Measure]], scale: float, colour: str | None = None
) -> None:  # fmt: skip
    """Draw one line; a point whose interval is unknown has no bar."""
    x = [point for point, _ in points]
    value, low, high = (np.array([getattr(one, end) for _, one in points]) * scale for end in ("value", "low", "high"))
    bars = np.nan_to_num(np.maximum(0.0, [value - low, high - value]))
    place.errorbar(x, value, yerr=bars, marker="o", capsize=4, label=name, color=colour)


def confusions(
    panels: Mapping[str, NDArray[Any]], labels: Sequence[str], path: Path, *, title: str = ""
) -> Path:  # fmt: skip
    """Draw which classes are taken for which, one matrix beside the other.

    Args:
        panels: by name, shares ``[true class, given class]`` in 0..1.
        labels: of the classes, in order.
        path: of the picture.
        title: above all of them.

    Raises:
        HearlessError: no panel, or a matrix that does not fit the classes.
    """
    if not panels or any(matrix.shape != (len(labels), len(labels)) for matrix in panels.values()):
        raise HearlessError(f"a picture of confusions needs matrices of {len(labels)} × {len(labels)} classes.")
    figure, places = _figure(len(panels), 1.5 + 0.25 * len(labels))
    for place, (name, matrix) in zip(places, panels.items(), strict=True):
        place.imshow(100 * matrix, cmap="Blues", vmin=0, vmax=100)
        for (row, column), share in np.ndenumerate(matrix):
            if share >= LEAST_SHOWN:
                dark = "white" if share > 0.5 else "black"
                place.text(column, row, f"{100 * share:.0f}", ha="center", va="center", color=dark, fontsize=8)
        place.set_xticks(range(len(labels)), labels, rotation=90)
        place.set_yticks(range(len(labels)), labels)
        place.set(title=name, xlabel="given class (%)")
    places[0].set_ylabel("true class")
    return _save(figure, path, title)


def clouds(panels: Sequence[Cloud], path: Path, *, title: str = "") -> Path:
    """Draw points of measures, panels side by side that share the one upwards; grey points have no label.

    Raises:
        HearlessError: no panel.
    """
    if not panels:
        raise HearlessError("a picture needs a panel of points, got none.")
    figure, places = _figure(len(panels), 5.0)
    for place, cloud in zip(places, panels, strict=True):
        known = [point for point in cloud.points if np.isfinite(point[:2]).all()]
        for x, y, label, grey in sorted(known, key=lambda point: not point[3]):
            place.plot(x, y, "o", color="0.75" if grey else "tab:blue")
            if not grey:
                place.annotate(label, (x, y), (4, 4), textcoords="offset points", fontsize=7, parse_math=False)
        left_out = len(cloud.points) - len(known)
        place.set(xlabel=cloud.across, ylabel=cloud.up, title=f"{left_out} unknown" if left_out else "")
        place.margins(0.3, 0.15)
    return _save(figure, path, title)


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


def _colours(values: NDArray[Any], unit: str = "") -> dict[str, float]:
    """Return the values of the darkest and the brightest colour; a factor lies in 0 … 1, whatever it is."""
    if unit == FACTOR:
        return {"vmin": 0.0, "vmax": 1.0}
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


def _figure(n_panels: int, width: float = 3.6) -> tuple[Any, Any]:
    """Return a sheet with panels side by side, each so many inches wide, that share their upright axis."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.5 + width * n_panels, 4.2), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(1, n_panels, sharey=True, squeeze=False)[0]


def _grid(n_rows: int, n_columns: int) -> tuple[Any, Any]:
    """Return a sheet with small panels on two shared axes, row by row."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.5 + 2.2 * n_columns, 1.6 + 1.9 * n_rows), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False).ravel()


def _sheet(n_rows: int, n_places: int = 1, *, beside: bool = False) -> tuple[Any, Any]:
    """Return a sheet tall enough for its rows, with one set of axes, or several below each other on one time axis.

    ``beside`` gives each a second set at its right, for words: ``[place, 2]``.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5 if beside else 8, 1.8 + 0.45 * n_rows), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    if beside:
        return figure, figure.subplots(n_places, 2, sharex="col", squeeze=False, width_ratios=(8, 2.5))
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
