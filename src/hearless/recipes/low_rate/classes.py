"""Paper 000's Table 2: which classes gain by CSSD and which lose, with intervals, and what is lost without training.

The runs are `table1`'s, and so are the tests over all classes, so that Holm's correction is the same; nothing else is
trained.  The paper prints three classes of ESC-50 (MobileNetV2, five folds).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hearless.pictures import dots
from hearless.recipes._shared import published_rows, the_one
from hearless.recipes.low_rate import table1
from hearless.recipes.low_rate.settings import Settings
from hearless.recipes.low_rate.table1 import hz_of, rate_text
from hearless.report import Report
from hearless.statistics import Measure
from hearless.study import Study

BACKBONES = ("mobilenetv2",)
METHODS = ("raw", "fine-tuned", "BASD", "CSSD")
DRAWN = ("raw", "fine-tuned", "CSSD")
GAIN = ("CSSD", "fine-tuned")
COLUMNS = {"fine-tuned": "finetuned", "CSSD": "cssd"}


def published(rate_hz: int, method: str) -> dict[str, float]:
    """Return paper 000's accuracy of single ESC-50 classes; of a method or rate that it does not print, none."""
    return {
        line["class"]: float(line[COLUMNS[method]])
        for line in published_rows("low_rate", "paper_000_table2")
        if method in COLUMNS and (line["dataset"], int(line["sampling_rate_hz"])) == ("ESC-50", rate_hz)
    }


def study(
    each: Sequence[Settings], *, rates: Sequence[int] = (1000, 2000), folds: tuple[str, ...] = (),
    seeds: tuple[int, ...] = (0,), task: str = "",
) -> Study:  # fmt: skip
    """Return the table of one backbone."""
    whole = table1.study([the_one(each)], rates=rates, folds=folds, seeds=seeds, task=task)
    rows = tuple(row for row in whole.rows if row.condition["method"] in METHODS)
    notes = tuple(note for rate in rates for note in _printed(rate))
    return replace(
        whole, name="low_rate/classes", title="Which classes gain", rows=rows, also=("class",), notes=notes
    )  # fmt: skip


def _printed(rate_hz: int) -> list[str]:
    before, after = published(rate_hz, "fine-tuned"), published(rate_hz, "CSSD")
    told = ", ".join(f"{name} {100 * before[name]:.0f} → {100 * after[name]:.0f}" for name in before)
    source = "paper 000, MobileNetV2 on the whole ESC-50, fine-tuned → CSSD (%)"
    return [f"{rate_text(rate_hz)}: {source}: {told}."] if told else []


def draw(report: Report, place: Path) -> None:
    """Draw each class's accuracy before and after, a picture a rate, and what it gains, the most first."""
    for rate in dict.fromkeys(str(row.condition["rate"]) for row in report.rows):
        rows = {str(row.condition["method"]): row for row in report.rows if row.condition["rate"] == rate}
        lines = {method: rows[method].per_class for method in DRAWN if method in rows and rows[method].per_class}
        if lines:
            numbers = {method: _of(published(hz_of(rate), method), classes) for method, classes in lines.items()}
            name, title = f"classes_{rate.replace(' ', '')}.png", f"Classes at {rate}"
            dots(lines, place / name, published=numbers, title=title, measure=report.columns[0], heading="paper 000")
    tests = [test for test in report.tests if (_method(test.name_a), _method(test.name_b)) == GAIN]
    gains = {test.name: test.per_class for test in tests if test.per_class}
    if gains:
        first = next(iter(gains.values()))
        order = sorted(first, key=lambda name: -first[name].value)
        ranked = {name: {c: one[c] for c in order if c in one} for name, one in gains.items()}
        dots(
            ranked,
            place / "gains.png",
            title="What each class gains by CSSD",
            measure="accuracy of CSSD less that of fine-tuned",
            unit="points",
        )


def _method(label: str) -> str:
    return label.partition(",")[0]


def _of(numbers: Mapping[str, float], classes: Mapping[str, Measure]) -> dict[str, float]:
    return {name: number for name, number in numbers.items() if name in classes}
