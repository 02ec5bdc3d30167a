"""Pictures of what a sensor hears and of what a table says, as files of the kind their ending says (PNG, SVG, PDF).

matplotlib is imported inside and draws without a display.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearless.interfaces import Axes, HearlessError
from hearless.report import Report, show
from hearless.statistics import Measure

Panel = tuple[str, NDArray[Any], Axes]
"""What a sensor is called, its features ``[band, frame]`` and where they lie."""

TICKS_HZ = (125, 250, 500, 1000, 2000, 4000, 8000, 16000)
QUIETEST = 0.05
"""Share of the fullest panel's values that is drawn as the darkest colour."""


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
    quiet, loud = np.quantile(fullest[1], (QUIETEST, 1.0))
    figure, places = _figure(len(panels))
    for place, (name, features, axes) in zip(places, panels, strict=True):
        mesh = place.pcolormesh(_times(axes), _edges(axes), features, vmin=quiet, vmax=max(loud, quiet + 1e-6))
        _dress(place, name, axes, fullest[2])
    places[0].set_ylabel("frequency (Hz)")
    figure.colorbar(mesh, ax=list(places), label=unit, pad=0.01)
    return _save(figure, path, title)


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


def _check(name: str, features: NDArray[Any], axes: Axes) -> None:
    """Refuse features that their axes do not describe."""
    if features.shape != (len(axes.band_hz), axes.n_frames) or features.size == 0:
        raise HearlessError(
            f"panel {name!r}: features must be [band, frame] = {(len(axes.band_hz), axes.n_frames)} as their axes say, "
            f"got {features.shape}."
        )
    if not np.isfinite(features).all():
        raise HearlessError(f"panel {name!r}: features must be finite; put a floor under the logarithm.")


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


def _sheet(n_rows: int) -> tuple[Any, Any]:
    """Return a sheet with one set of axes, tall enough for its rows."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 1.8 + 0.45 * n_rows), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots()


def _save(figure: Any, path: Path, title: str) -> Path:
    """Write the picture; say why if that fails."""
    figure.suptitle(title)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise HearlessError(f"{path} could not be written: {error}; free some space or name another file.") from error
    return path
