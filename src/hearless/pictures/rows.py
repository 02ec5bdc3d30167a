"""A measure of things that have names: bars of a table, points of categories."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np

from hearless.interfaces import HearlessError
from hearless.pictures.sheets import save, sheet
from hearless.report import Report, show
from hearless.statistics import Measure


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
    figure, place = sheet(len(report.rows))
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
    known = any(not np.isnan(row.metrics[name].low) for row in report.rows if name in row.metrics)
    unit = f" ({report.unit(name)})" if report.unit(name) else ""
    place.set_xlabel(f"{name}{unit}{'; lines: 95 % intervals' if known else ''}")
    return save(figure, path, report.title)


def _bar(place: Any, height: int, measure: Measure | None, unit: str) -> None:
    """Draw one row's bar, or say that it is missing."""
    if measure is None or np.isnan(measure.value):
        place.text(0, height, " missing", va="center", color="firebrick")
        return
    value, low, high = np.array([measure.value, measure.low, measure.high]) * (100 if unit == "%" else 1)
    place.barh(height, value, color="lightsteelblue", height=0.6)
    beside = place.get_yaxis_transform()  # right of the axes, where neither bars nor intervals are
    place.text(1.0, height, f" {show(Measure(measure.value), unit)}", va="center", fontweight="bold", transform=beside)
    if not np.isnan(low):
        place.errorbar(value, height, xerr=[[max(0, value - low)], [max(0, high - value)]], color="black", capsize=4)


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
        unit: of it; "%" and "points" (of percent) draw fractions times 100.
        heading: what the diamonds are.

    Raises:
        HearlessError: nothing is measured, or a published number of a name that is not drawn.
    """
    names = list(dict.fromkeys(name for values in lines.values() for name in values))
    if not names or (unknown := [name for name in published or {} if name not in lines]):
        raise HearlessError(f"a picture of categories needs measures of {unknown if names else 'at least one'}.")
    figure, place = sheet(1 + round(len(names) * (0.4 + 0.4 * len(lines))))
    scale, apart = (100.0 if unit in ("%", "points") else 1.0), 0.8 / len(lines)
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
    if any(one.value < 0 for values in lines.values() for one in values.values()):
        place.axvline(0, color="0.5", linewidth=1)
    place.set_xlabel(f"{measure} ({unit}); lines: 95 % intervals" if unit else measure)
    figure.legend(loc="outside lower center", ncols=min(4, len(lines)), frameon=False)
    return save(figure, path, title)


def _dot(place: Any, height: float, measure: Measure | None, scale: float, colour: str, label: str | None) -> None:
    """Draw one point with its interval where that is known; a missing one is left out, its label kept."""
    value, low, high = (np.nan, np.nan, np.nan) if measure is None else (measure.value, measure.low, measure.high)
    ends = np.nan_to_num(np.maximum(0.0, [[value - low], [high - value]])) * scale
    place.errorbar(scale * value, height, xerr=ends, fmt="o", ms=4, color=colour, capsize=2, label=label)
