"""A number for every pair of two things: settings, parts of networks, classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearless.interfaces import HearlessError
from hearless.pictures.sheets import grid, save, sheet, side_by_side
from hearless.report import show
from hearless.statistics import Measure

LEAST_SHOWN = 0.005
"""Shares below it are drawn without a number."""


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
        unit: of it; "%" and "points" (of percent) draw fractions times 100.

    Raises:
        HearlessError: nothing is measured.
    """
    from matplotlib.patches import Rectangle

    known = {place: one for place, one in cells.items() if not np.isnan(one.value)}
    if not known:
        raise HearlessError("a heat map needs a measured cell; train some rows.")
    rows, columns = (list(dict.fromkeys(place[axis] for place in cells)) for axis in (0, 1))
    scale, shown = (100.0, "%") if unit in ("%", "points") else (1.0, unit)
    values = np.full((len(rows), len(columns)), np.nan)
    for (row, column), one in known.items():
        values[rows.index(row), columns.index(column)] = one.value * scale
    figure, place = sheet(2 * len(rows))
    place.set_facecolor("0.85")
    image = place.imshow(values, aspect="auto", cmap="viridis")
    middle = (np.nanmin(values) + np.nanmax(values)) / 2
    for (row, column), one in known.items():
        x, y = columns.index(column), rows.index(row)
        colour = "black" if values[y, x] > middle else "white"
        place.text(x, y, show(one, shown).replace(" [", "\n["), ha="center", va="center", color=colour, fontsize=9)
    best = np.unravel_index(np.nanargmax(values), values.shape)
    place.add_patch(Rectangle((best[1] - 0.47, best[0] - 0.47), 0.94, 0.94, fill=False, edgecolor="crimson", lw=2.5))
    place.set_yticks(range(len(rows)), rows)
    place.set_xticks(range(len(columns)), columns)
    place.set(ylabel=along[0], xlabel=f"{along[1]} (framed: the highest)")
    figure.colorbar(image, ax=place, label=f"{measure} ({unit})" if unit else measure, pad=0.01)
    return save(figure, path, title)


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
    figure, places = side_by_side(len(panels), 4.6)
    figure.set_figheight(6)
    for place, (name, (rows, columns, values)) in zip(places, panels.items(), strict=True):
        place.set_facecolor("0.85")
        image = place.imshow(values, aspect="auto", cmap="magma", vmin=0, vmax=1, origin="lower")
        place.set_xticks(range(len(columns)), columns, rotation=90, fontsize=8)
        place.set_yticks(range(len(rows)), rows, fontsize=8)
        place.set(title=name, xlabel=along[1])
    places[0].set_ylabel(along[0])
    figure.colorbar(image, ax=list(places), label=measure, pad=0.01)
    return save(figure, path, title)


def confusions(
    panels: Mapping[str, NDArray[Any]], labels: Sequence[str], path: Path, *, title: str = ""
) -> Path:  # fmt: skip
    """Draw which classes are taken for which, two matrices in a row.

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
    side, n_columns = 1.5 + 0.25 * len(labels), min(2, len(panels))
    figure, places = grid(-(-len(panels) // n_columns), n_columns, (side, side))
    for place in places[len(panels) :]:
        place.set_axis_off()
    for n, (place, (name, matrix)) in enumerate(zip(places, panels.items(), strict=False)):
        place.imshow(100 * matrix, cmap="Blues", vmin=0, vmax=100)
        for (row, column), share in np.ndenumerate(matrix):
            if share >= LEAST_SHOWN:
                dark = "white" if share > 0.5 else "black"
                place.text(column, row, f"{100 * share:.0f}", ha="center", va="center", color=dark, fontsize=8)
        place.set_xticks(range(len(labels)), labels, rotation=90)
        place.set_yticks(range(len(labels)), labels)
        lowest, leftmost = n + n_columns >= len(panels), n % n_columns == 0
        place.set(title=name, xlabel="given class (%)" * lowest, ylabel="true class" * leftmost)
        place.tick_params(labelbottom=lowest, labelleft=leftmost)
    return save(figure, path, title)
