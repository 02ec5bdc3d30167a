"""Tables on a terminal: reports and small ones."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from hearless.report import Report

TRUST = {
    "temperature": "temperature",
    "ece_raw": "calibration error before (%)", "ece": "calibration error, calibrated (%)",
    "log_loss_raw": "log loss before (nats)", "log_loss": "log loss, calibrated (nats)",
    "none_below": "none of these below (%)", "named": "test clips given a class (%)",
    "noise_named": "noise given a class (%)",
}  # fmt: skip
"""What `hearless evaluate` says of how far scores can be trusted: a report's measures and their words."""


MANY_TESTS = 6
"""Paired tests that are told one by one on a terminal, at most."""

SIGNIFICANT = 0.05
"""Of p, adjusted for all tests of a table."""

MUCH_NOISE = 0.1
"""The share of silence and noise, given a class, from which on a user is told."""


def noise_words(measured: Mapping[str, Any]) -> str:
    """Say that a run gives silence and noise a class, from its measured.json; nothing where that is rare."""
    shares = (measured.get("noise_named") or {}).values()
    share = sum(shares) / max(1, len(shares))
    return f"it gives {share:.0%} of silence and noise a class" if share > MUCH_NOISE else ""


def show(report: Report, as_json: bool = False, *, breakdown: bool = False, more: Iterable[str] = ()) -> None:
    """Print a report as JSON, or as tables that fit a terminal and notes; conditions that its labels tell are left out.

    Args:
        report: what is printed.
        as_json: print it whole, for programs.
        breakdown: add tables of folds and classes.
        more: notes besides its own.
    """
    if as_json:
        typer.echo(json.dumps(report.to_json(), ensure_ascii=False))
        return
    head, cells = report.header(), report.cells()
    told = [i for i, name in enumerate(report.conditions, 1) if _is_told(name, report)]
    print_table(report.title, *([part for i, part in enumerate(line) if i not in told] for line in (head, *cells)))
    shared = [f"{n.capitalize()}: {report.rows[0].condition[n]}." for n in report.conditions if _is_shared(n, report)]
    typer.echo(" ".join([report.task, *shared]))
    if breakdown:
        _break_down(report)
    lines = _tests_in_words(report)
    holes: dict[str, list[str]] = {}
    for row in report.rows:
        if row.hole:
            holes.setdefault(row.hole, []).append(row.label)
    lines += [f"missing: {'; '.join(labels)}: {hole}" for hole, labels in holes.items()]
    for line in (*lines, *report.notes, *more):
        typer.echo(f"- {line}")


def _tests_in_words(report: Report) -> list[str]:
    """Return the tests in words; of many, those that tell two rows apart and how many do not."""
    if len(report.tests) <= MANY_TESTS:
        return [test.words for test in report.tests]
    adjusted = [test.paired.p if test.p_holm is None else test.p_holm for test in report.tests]
    apart = [test.words for test, p in zip(report.tests, adjusted, strict=True) if p < SIGNIFICANT]
    rest = f"{len(report.tests) - len(apart)} of {len(report.tests)} comparisons show no evidence of a difference"
    return [*apart, f"{rest}; all stand in the whole table."]


def _is_told(condition: str, report: Report) -> bool:
    """Say whether a column can be left out: all rows share its value, or most labels say it."""
    said = [str(row.condition.get(condition, "")).lower() in row.label.lower() for row in report.rows]
    return _is_shared(condition, report) or 2 * sum(said) >= len(said)


def _is_shared(condition: str, report: Report) -> bool:
    return len({row.condition.get(condition) for row in report.rows}) == 1


def _break_down(report: Report) -> None:
    """Print the first measure per fold, device and class, a column a row of the report."""
    from hearless.report import KINDS, show

    names = [row.label for row in report.rows]
    unit = report.unit(report.columns[0])
    for kind in KINDS:
        parts = [row.part(kind) for row in report.rows]
        keys = dict.fromkeys(key for part in parts for key in part)
        if kind == "device" and not keys:
            continue
        lines = [[key, *(show(part.get(key), unit) for part in parts)] for key in keys]
        print_table(f"{report.columns[0]} ({unit}) per {kind}", [kind, *names], *lines)
    _tell_trust(report)


def _tell_trust(report: Report) -> None:
    """Print how far scores can be trusted, a column a row of the report, where something was fitted."""
    from hearless.report import show

    told = [name for name in TRUST if any(name in row.metrics for row in report.rows)]
    lines = [[TRUST[one], *(show(row.metrics.get(one), report.unit(one)) for row in report.rows)] for one in told]
    if lines:
        print_table("how far scores can be trusted", ["", *(row.label for row in report.rows)], *lines)


def print_table(title: str, head: list[str], *lines: list[str]) -> None:
    """Print a table; headings and the first column wrap where the terminal is narrow, numbers never."""
    from textwrap import fill

    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column(Text(head[0]), overflow="fold")
    widths = [max(8, *(len(cells[i]) for cells in lines)) for i in range(1, len(head))]
    for name, width in zip(head[1:], widths, strict=True):
        table.add_column(Text(fill(name, width, break_long_words=False)), justify="right", no_wrap=True)
    for cells in lines:
        table.add_row(*map(Text, cells))
    longest = [max(width, *map(len, name.split() or [""])) for name, width in zip(head[1:], widths, strict=True)]
    console = Console()  # rather wider than the terminal than a number cut off
    Console(width=max(console.width, 12 + sum(longest) + 3 * len(head))).print(table)
