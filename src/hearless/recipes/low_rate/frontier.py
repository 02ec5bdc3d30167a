"""Accuracy, privacy, battery and bytes of every sensor and model on one page, from the tables of finished studies.

A row is dominated where another is at least as good in everything that is known of both and better in something.
Paper 001 asks for the trade-off; the papers draw none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch

from hearless import page
from hearless.interfaces import HearlessError
from hearless.lab import Lab
from hearless.pictures import Cloud, Point, clouds
from hearless.provenance import code_commit, environment
from hearless.recipes._shared import backbone, no_rates, with_words
from hearless.recipes.low_rate._wish import LESS_IS_MORE, advice, parsed
from hearless.recipes.low_rate.power import MEASURED
from hearless.report import Report, Row
from hearless.run import write_whole
from hearless.statistics import Measure
from hearless.study import Question

BACKBONES = ()
DATA = None
STUDIES = ("low_rate/rates", "low_rate/table1")
"""Where accuracies come from where none are named: the first that is there."""

AXES = ("accuracy", "battery", "words", "wer", "size", "sent")
UNITS = {"battery": "h", "wer": "errors / word", "size": "kB", "sent": "kB / s"}
SIXTEEN_BIT = 2


@dataclass(frozen=True)
class Options:
    """What ``--set`` takes.

    Attributes:
        accuracy: folders of finished tables, parted by commas; empty: low_rate/rates, else low_rate/table1.
        power, privacy: folders of those studies' tables; empty: beside it.
        wish: what is wanted, in parts between commas.
    """

    accuracy: str = ""
    power: str = ""
    privacy: str = ""
    wish: str = "battery >= 58, words not recoverable, best accuracy"


WORDS = tuple(f.name for f in fields(Options))


def analyse(lab: Lab, question: Question) -> Report:
    """Return the table, with a page (frontier.html) and a picture; tables that are missing are named."""
    no_rates(question.rates)
    options: Options = with_words(Options(), question.words, ())
    wish = parsed(options.wish)
    tables, names = _accuracies(lab, options)
    beside = {name: _beside(lab, name, getattr(options, name)) for name in ("power", "privacy")}
    found = [report for report, _ in beside.values() if report]
    rows, missing = _rows(tables, found)
    columns = tuple(axis for axis in AXES if any(axis in row.metrics for row in rows))
    notes = [why for _, why in beside.values() if why] + missing + _derived(rows, beside["power"][0])
    made = Report(
        title="What a sensor costs and what it gives", task=f"From {', '.join(names)}. {tables[0].task}",
        columns=columns, rows=with_dominated(rows), notes=(*notes, *_legend(columns)), command=question.command,
        commit=code_commit(), environment=environment(),
        units={**{name: unit for one in found for name, unit in one.units.items()}, **UNITS},
    )  # fmt: skip
    report = replace(made, notes=(advice(made, wish), *made.notes))
    _draw(report, question.place)
    return report


# --- what is known ----------------------------------------------------------------------------------------------------


def _accuracies(lab: Lab, options: Options) -> tuple[list[Report], list[str]]:
    if options.accuracy:
        folders = [Path(one.strip()) for one in options.accuracy.split(",") if one.strip()]
        tables = [Report.load(one) for one in folders]
        for folder, table in zip(folders, tables, strict=True):
            if table.unit(table.columns[0]) != "%":
                raise HearlessError(
                    f"accuracy must name tables whose first measure is one, got {folder}, a table of "
                    f"{table.columns[0]} ({table.unit(table.columns[0])}); --set power=, privacy= are for the others."
                )
        return tables, [str(one) for one in folders]
    known = [name for name in STUDIES if (lab.runs / "studies" / name / "report.json").is_file()]
    if not known:
        raise HearlessError(
            f"a frontier needs a table of accuracies, and {lab.runs / 'studies'} has none; make one with hearless "
            f"study {STUDIES[0]} --runs {lab.runs}, or name one with --set accuracy=FOLDER."
        )
    return [Report.load(lab.runs / "studies" / known[0])], [known[0]]


def _beside(lab: Lab, name: str, folder: str) -> tuple[Report | None, str]:
    """Return a study's table, or None and the command that makes it."""
    place = Path(folder) if folder else lab.runs / "studies" / "low_rate" / name
    if folder or (place / "report.json").is_file():
        return Report.load(place), ""
    more = " --set speech=DIR --labels WORDS.csv" if name == "privacy" else ""
    return None, f"Missing: {name}; hearless study low_rate/{name}{more} --runs {lab.runs} makes it."


def _rows(tables: Sequence[Report], beside: Sequence[Report]) -> tuple[list[Row], list[str]]:
    """Return a row for each of the tables' that has a result, with what is known of its sensor, and the holes."""
    rows, missing = [], []
    for table in tables:
        for row in table.rows:
            if table.columns[0] not in row.metrics:
                missing.append(f"Missing: {row.label} ({row.hole or 'not measured'}).")
                continue
            sensor, network = _sensor(row), str(row.condition.get("network") or row.condition.get("classifier") or "")
            metrics = {"accuracy": row.metrics[table.columns[0]]}
            for report in beside:
                metrics |= next((dict(other.metrics) for other in report.rows if other.label == sensor), {})
            metrics |= _bytes(sensor, network, len(row.per_class))
            rows.append(Row(row.label, {"sensor": sensor, "network": network}, metrics))
    if not rows:
        raise HearlessError(f"none of {len(tables)} tables has a finished row; run their studies again.")
    return rows, missing


def _derived(rows: Sequence[Row], power: Report | None) -> list[str]:
    """Say of which sensors' hours the current was not measured, and where it comes from."""
    sensors = {row.condition["sensor"] for row in rows}
    known = {row.label: str(row.condition.get("basis", "")) for row in power.rows if row.metrics} if power else {}
    said = [f"{label} {basis}" for label, basis in known.items() if label in sensors and basis not in ("", MEASURED)]
    return [f"battery, not measured: {'; '.join(said)}."] if said else []


def _sensor(row: Row) -> str:
    """Return what the tables of power and privacy call a row's sensor."""
    if levels := row.condition.get("levels"):
        return f"levels, {levels}"
    return str(row.condition.get("sensor") or row.condition.get("rate") or "unknown")


def _bytes(sensor: str, network: str, n_classes: int) -> dict[str, Measure]:
    """Return kB of a network's weights in single precision, and kB that a sensor keeps a second at 16 bits."""
    found: dict[str, Measure] = {}
    per_s = {"levels, fast": 29 * 8, "levels, slow": 29}.get(sensor, _rate_hz(sensor))
    if per_s:
        found["sent"] = Measure(SIXTEEN_BIT * per_s / 1000)
    try:
        classifier = backbone(network).classifier
    except HearlessError:
        return found
    with torch.device("meta"):
        parameters = classifier.build(n_classes=max(1, n_classes)).parameters()
    return {**found, "size": Measure(4 * sum(one.numel() for one in parameters) / 1000)}


def _rate_hz(sensor: str) -> float:
    number, _, unit = sensor.partition(" ")
    scale = {"Hz": 1.0, "kHz": 1000.0}.get(unit)
    return float(number) * scale if scale else 0.0


# --- what is better ---------------------------------------------------------------------------------------------------


def with_dominated(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Return rows that say which other one is better all over, where one is; best one that is not dominated itself."""
    goods = [_goods(row) for row in rows]
    best = [mine for mine in goods if not any(dominates(theirs, mine) for theirs in goods)]
    made = []
    for row, mine in zip(rows, goods, strict=True):
        over = [(theirs not in best, i) for i, theirs in enumerate(goods) if dominates(theirs, mine)]
        made.append(replace(row, condition={**row.condition, "dominated by": rows[min(over)[1]].label if over else ""}))
    return tuple(made)


def _goods(row: Row) -> list[float]:
    """Return what is known of a row, greater always better, NaN where it is unknown."""
    values = [row.metrics[axis].value if axis in row.metrics else math.nan for axis in AXES]
    return [-value if axis in LESS_IS_MORE else value for axis, value in zip(AXES, values, strict=True)]


def dominates(a: Sequence[float], b: Sequence[float]) -> bool:
    """Say whether ``a`` is nowhere worse than ``b`` and somewhere better; what only one of them knows decides for none.

    Values where greater is better, NaN where unknown; unknown of both is left out.
    """
    pairs = [(x, y) for x, y in zip(a, b, strict=True) if not (math.isnan(x) and math.isnan(y))]
    return all(x >= y for x, y in pairs) and any(x > y for x, y in pairs)


# --- the page ---------------------------------------------------------------------------------------------------------


def _draw(report: Report, place: Path) -> None:
    grey = [i for i, row in enumerate(report.rows) if row.condition["dominated by"]]
    points = {axis: [_point(row, axis, report) for row in report.rows] for axis in report.columns[1:]}
    panels = [
        Cloud(f"{axis} ({report.unit(axis)})", "accuracy (%)", those)
        for axis, those in points.items()
        if len({point.across for point in those if not math.isnan(point.across)}) > 1
    ]
    pieces = [page.paragraph(report.notes[0])]
    if panels:
        pieces.append(page.image(clouds(panels, place / "frontier.png", title=report.title), report.title))
    pieces += page.of_report(report, grey=grey)
    write_whole(place / "frontier.html", page.page(report.title, *pieces).encode())


def _point(row: Row, axis: str, report: Report) -> Point:
    scale = 100.0 if report.unit(axis) == "%" else 1.0
    across = scale * row.metrics[axis].value if axis in row.metrics else math.nan
    up = row.metrics["accuracy"]
    return Point(
        across, 100 * up.value, row.label, bool(row.condition["dominated by"]), 100 * up.low, 100 * up.high
    )  # fmt: skip


def _legend(columns: Sequence[str]) -> tuple[str, ...]:
    said: dict[str, Any] = {
        "words": "words: what the best trained attacker tells of spoken words, less is more private",
        "wer": "wer: errors of a stock recogniser a word, an upper bound, more is more private",
        "battery": "battery: hours, of the sensor's board; see low_rate/power",
        "size": "size: of the weights in single precision; int8 takes a quarter",
        "sent": "sent: what the sensor keeps, 16 bits a value",
    }
    grey = (
        "grey, dominated: another row is at least as good in all that is known, by values alone; where intervals "
        "overlap the two may be equally good"
    )
    return (*(f"{said[name]}." for name in columns if name in said), f"{grey}.")
