"""Sheets of paper with room for what is drawn, and how a picture is written."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from hearless.interfaces import HearlessError


def side_by_side(n_panels: int, width: float = 3.6) -> tuple[Any, Any]:
    """Return a sheet with panels side by side, each so many inches wide, that share their upright axis."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.5 + width * n_panels, 4.2), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(1, n_panels, sharey=True, squeeze=False)[0]


def grid(n_rows: int, n_columns: int, size: tuple[float, float] = (2.2, 1.9)) -> tuple[Any, Any]:
    """Return a sheet with panels on two shared axes, row by row, each so many inches wide and high."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.5 + size[0] * n_columns, 1.6 + size[1] * n_rows), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False).ravel()


def sheet(n_rows: int, n_places: int = 1, *, beside: bool = False) -> tuple[Any, Any]:
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


def save(figure: Any, path: Path, title: str) -> Path:
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
