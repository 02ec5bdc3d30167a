"""Accuracy against sampling rate, 250 Hz to 8 kHz (paper 001 asks for more rates): four methods, and one for all rates.

α and T are chosen at 1 kHz on each fold's own validation part and reused.  Two pictures beside the bars: accuracy
against rate, and the same for every class, which shows what survives at which rate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from hearless.pictures import Curve, curves, multiples
from hearless.recipes.low_rate import many_rates, table1
from hearless.recipes.low_rate.settings import Settings
from hearless.recipes.low_rate.table1 import GRID, hz_of, pairs_at, rate_text, rows
from hearless.report import Report
from hearless.report import Row as Line
from hearless.statistics import Measure
from hearless.study import Row, Study

BACKBONES = table1.BACKBONES
RATES_HZ = (250, 500, 1000, 2000, 4000, 8000)
CHOSEN_AT_HZ = 1000


def study(
    each: Sequence[Settings], *, rates: Sequence[int] = RATES_HZ, folds: tuple[str, ...] = (),
    seeds: tuple[int, ...] = (0,), task: str = "",
) -> Study:  # fmt: skip
    """Return the table: a block of rows for each backbone."""
    made: list[Row] = []
    pairs: list[tuple[str, str]] = []
    for settings in each:
        suffix = f", {settings.backbone.name}" if len(each) > 1 else ""
        chosen_at = CHOSEN_AT_HZ if CHOSEN_AT_HZ in rates else None
        made += rows(settings, rates, GRID, suffix, chosen_at)
        one = many_rates.recipe(settings)
        for rate in sorted(rates, reverse=True):
            condition = {"rate": rate_text(rate), "method": "many rates", "network": settings.backbone.name}
            label = f"many rates, {rate_text(rate)}{suffix}"
            made.append(Row(label, condition, (one,), heard_through=settings.view(rate, 0)))
            pairs += [*pairs_at(rate, suffix), (label, f"fine-tuned, {rate_text(rate)}{suffix}")]
    return Study(
        name="low_rate/rates", title="How low can the rate go?", task=task, rows=tuple(made), seeds=seeds, folds=folds,
        compare=tuple(pairs),
    )  # fmt: skip


def draw(report: Report, place: Path) -> None:
    """Draw accuracy against rate, whole and for every class, a line a method; the 16 kHz generation is a point."""
    metric = report.columns[0]
    whole = along_rate(report, lambda row: row.metrics.get(metric))
    if whole.lines:
        curves([whole], place / "rates.png", title=report.title, measure=metric)
    classes = dict.fromkeys(name for row in report.rows for name in row.per_class)
    if each := {name: along_rate(report, partial(_of_class, name)) for name in classes}:
        multiples(each, place / "rates_by_class.png", title="Which sounds survive at which rate", measure=metric)


def _of_class(name: str, row: Line) -> Measure | None:
    return row.per_class.get(name)


def along_rate(report: Report, measured: Callable[[Line], Measure | None]) -> Curve:
    """Return a measure of the rows against their rates, a line a method (and network, where there are several)."""
    several = len({row.condition["network"] for row in report.rows}) > 1
    lines: dict[str, list[tuple[float, Measure]]] = {}
    for row in report.rows:
        condition: Mapping[str, object] = row.condition
        name = f"{condition['method']}, {condition['network']}" if several else str(condition["method"])
        if (found := measured(row)) is not None:
            lines.setdefault(name, []).append((float(hz_of(str(condition["rate"]))), found))
    return Curve("sampling rate (Hz)", lines)
