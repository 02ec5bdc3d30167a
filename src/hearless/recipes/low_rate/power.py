"""Hours on a battery at each sampling rate (paper 000, Table 3), from the paper's currents or a user's own.

Between measured rates the current lies on a line; beyond them nothing is said unless ``extrapolate=yes`` asks for it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from hearless.interfaces import HearlessError
from hearless.lab import Lab
from hearless.pictures import bars
from hearless.power import PAPER, CurrentTable, battery_hours, current_ma, read_currents
from hearless.provenance import code_commit, environment
from hearless.recipes._shared import with_words
from hearless.recipes.low_rate.table1 import rate_text
from hearless.report import Report, Row
from hearless.statistics import Measure
from hearless.study import Question

BACKBONES = ()
DATA = None
RATES_HZ = (250, 500, 1000, 2000, 4000, 8000, 16000)
MEASURED = "measured"
PUBLISHED_H = {16000: 50.6, 2000: 58.4, 1000: 59.6}
"""Paper 000, Table 3: hours of a 300 mAh battery."""


@dataclass(frozen=True)
class Options:
    """What ``--set`` takes.

    Attributes:
        currents: a CSV file of a device's own currents (columns rate_hz and mA); empty: the paper's.
        battery_mah: what the battery holds.
        duty_cycle: share of the time that the device listens.
        sleep_ma: what it draws the rest of the time.
        extrapolate: follow the line beyond the measured rates, with a warning.
    """

    currents: str = ""
    battery_mah: float = 300.0
    duty_cycle: float = 1.0
    sleep_ma: float | None = None
    extrapolate: bool = False


WORDS = tuple(f.name for f in fields(Options))


def analyse(lab: Lab, question: Question) -> Report:
    """Return the hours at each rate, with a picture; a rate beyond the measured ones is a hole that says why."""
    options: Options = with_words(Options(), question.words, ())
    table = read_currents(options.currents) if options.currents else PAPER
    inside = {rate for rate in RATES_HZ if table.rates_hz[0] <= rate <= table.rates_hz[-1]}
    rates = sorted(question.rates or inside | set(table.rates_hz), reverse=True)
    made = [_row(table, options, rate) for rate in rates]
    report = Report(
        title="Hours on a battery", task=_task(table, options), columns=("battery", "current"),
        rows=tuple(row for row, _ in made),
        notes=(*filter(None, (warning for _, warning in made)), *_notes(table, options)),
        command=question.command, commit=code_commit(), environment=environment(),
        units={"battery": "h", "current": "mA"}, published_heading="paper 000", heading="sensor",
    )  # fmt: skip
    bars(report, question.place / "bars.png")
    return report


def _row(table: CurrentTable, options: Options, rate_hz: int) -> tuple[Row, str]:
    """Return a rate's row and what to beware of."""
    label = rate_text(rate_hz)
    try:
        current = current_ma(table, rate_hz, extrapolate=options.extrapolate)
    except HearlessError as error:
        return Row(label, {"rate": label, "basis": "unknown"}, hole=str(error)), ""
    hours = battery_hours(
        options.battery_mah, current.ma, duty_cycle=options.duty_cycle, sleep_ma=options.sleep_ma
    )  # fmt: skip
    known = table is PAPER and (options.battery_mah, options.duty_cycle) == (300.0, 1.0) and rate_hz in PUBLISHED_H
    basis = current.basis.partition(" (")[0].replace("a point of the table", MEASURED)
    metrics = {"battery": Measure(hours), "current": Measure(current.ma)}
    published = {"battery": PUBLISHED_H[rate_hz]} if known else None
    source = "Table 3, a 300 mAh battery" if known else ""
    return Row(label, {"rate": label, "basis": basis}, metrics, published=published, source=source), current.warning


def _task(table: CurrentTable, options: Options) -> str:
    asleep = "" if options.sleep_ma is None else f", {options.sleep_ma:g} mA asleep"
    return (
        f"A battery of {options.battery_mah:g} mAh; listening {options.duty_cycle:.0%} of the time{asleep}; currents: "
        f"{table.source}."
    )


def _notes(table: CurrentTable, options: Options) -> tuple[str, ...]:
    low, high = (rate_text(rate) for rate in (table.rates_hz[0], table.rates_hz[-1]))
    beyond = (
        f"Nothing is said below {low} or above {high}, where nothing was measured; --rates asks for other rates, "
        "--set currents=FILE.csv (rate_hz, mA) gives a device's own currents, --set extrapolate=yes follows the line."
    )
    said = (
        *(() if options.extrapolate else (beyond,)),
        "The battery gives all of its capacity at any current; no regulator, no cold, so real hours are fewer.",
    )
    board = "The paper's board runs FFTs and no classifier; at 2 kHz its current follows from the hours it prints."
    return (*said, board) if table is PAPER else said
