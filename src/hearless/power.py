"""Hours on a battery: what the sensor draws at a sampling rate, how often it is awake, what the battery holds.

Paper 000, Table 3: an Apollo3 microcontroller that runs FFTs on a Knowles SPH064 microphone drew 5.93 mA at 16 kHz and
5.03 mA at 1 kHz; at 2 kHz only the 58.4 h of a 300 mAh battery are printed, which is 5.137 mA (5.133 to 5.141 by their
rounding).  A straight line through the two measured currents would give 5.09 mA there, so three points are kept.

Those are currents of one board with a plain FFT and no classifier: for another device measure your own and give a CSV
file with the columns ``rate_hz`` and ``mA``.  Between two points the current lies on the straight line through them;
beyond the outermost ones nothing is said unless asked for.  A battery here gives all of its capacity at any current:
no self-discharge, no regulator, no cold, so real hours are fewer.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from hearless.interfaces import HearlessError

COLUMNS = ("rate_hz", "mA")
LEAST_MA, MOST_MA = 0.01, 1000.0
"""Currents outside of this are taken for amperes or microamperes and refused."""

LEAST_HZ = 100
"""Lower rates are taken for kilohertz and refused."""


@dataclass(frozen=True, slots=True)
class CurrentTable:
    """What a device draws at some sampling rates.

    Attributes:
        rates_hz: rising.
        currents_ma: milliamperes at each rate.
        source: where they come from, in words.
        derived: of a rate whose current was not measured itself, what it follows from.

    Raises:
        HearlessError: no points, rates that do not rise, or a current outside 0.01 … 1000 mA.
    """

    rates_hz: tuple[int, ...]
    currents_ma: tuple[float, ...]
    source: str
    derived: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.rates_hz or len(self.rates_hz) != len(self.currents_ma):
            raise HearlessError(
                f"{self.source}: rates_hz and currents_ma must pair up and hold a point or more, got "
                f"{len(self.rates_hz)} and {len(self.currents_ma)}."
            )
        if self.rates_hz[0] <= 0 or any(low >= high for low, high in pairwise(self.rates_hz)):
            raise HearlessError(f"{self.source}: rates_hz must rise from above 0, got {self.rates_hz}; sort them.")
        for rate_hz, ma in zip(self.rates_hz, self.currents_ma, strict=True):
            if not LEAST_MA <= ma <= MOST_MA:
                raise HearlessError(f"{self.source}: {_implausible(ma)} at {rate_hz} Hz.")


PAPER = CurrentTable(
    rates_hz=(1000, 2000, 16000),
    currents_ma=(5.03, 5.137, 5.93),
    source="paper 000, Apollo3 and SPH064: measured at 1 and 16 kHz, at 2 kHz from its 58.4 h on 300 mAh",
    derived={2000: "from the hours that the paper prints"},
)


@dataclass(frozen=True, slots=True)
class Current:
    """A current in mA and what it rests on; ``warning`` is empty unless it lies beyond the table."""

    ma: float
    basis: str
    warning: str = ""


def current_ma(table: CurrentTable, rate_hz: float, *, extrapolate: bool = False) -> Current:
    """Return what the device draws at a sampling rate: a point of the table, or the line between its neighbours.

    Args:
        table: of the device.
        rate_hz: sampling rate in Hz.
        extrapolate: beyond the table, follow the line through its two outermost points, with a warning.

    Raises:
        HearlessError: a rate beyond the table that is not to be extrapolated, or that cannot be (one point only, or
            the line leaves 0.01 … 1000 mA).
    """
    rates, currents = table.rates_hz, table.currents_ma
    if rate_hz in rates:
        basis = table.derived.get(int(rate_hz), "a point of the table")
        return Current(currents[rates.index(int(rate_hz))], f"{basis} ({table.source})")
    if rates[0] < rate_hz < rates[-1]:
        above = next(i for i, rate in enumerate(rates) if rate > rate_hz)
        between = f"interpolated between {rates[above - 1]} and {rates[above]} Hz ({table.source})"
        return Current(float(np.interp(rate_hz, rates, currents)), between)
    if extrapolate and math.isfinite(rate_hz) and rate_hz > 0:
        return _extrapolated(table, rate_hz)
    raise HearlessError(
        f"rate_hz must lie in {rates[0]} … {rates[-1]} Hz, where currents are known ({table.source}), got {rate_hz:g}; "
        "measure the device there, or ask for the line beyond (--set extrapolate=yes; in Python extrapolate=True)."
    )


def _extrapolated(table: CurrentTable, rate_hz: float) -> Current:
    """Return the current on the line through the two points nearest to a rate beyond the table."""
    if len(table.rates_hz) < 2:
        raise HearlessError(f"extrapolation needs 2 points, {table.source} has 1; measure a second rate.")
    side = slice(0, 2) if rate_hz < table.rates_hz[0] else slice(-2, None)
    (x0, x1), (y0, y1) = table.rates_hz[side], table.currents_ma[side]
    ma = y0 + (y1 - y0) * (rate_hz - x0) / (x1 - x0)
    if not LEAST_MA <= ma <= MOST_MA:
        raise HearlessError(
            f"the line through {x0} and {x1} Hz must stay in {LEAST_MA:g} … {MOST_MA:g} mA, got {ma:.3g} mA at "
            f"{rate_hz:g} Hz; measure the device there."
        )
    warning = f"nothing was measured at {rate_hz:g} Hz: {ma:.3f} mA follows the line through {x0} and {x1} Hz"
    return Current(ma, f"extrapolated ({table.source})", warning)


def battery_hours(
    capacity_mah: float, current_ma: float, *, duty_cycle: float = 1.0, sleep_ma: float | None = None
) -> float:
    """Return the hours that a battery lasts.

    Args:
        capacity_mah: what the battery holds, in mAh.
        current_ma: drawn while it listens, in mA.
        duty_cycle: share of the time that it listens, above 0 and at most 1.
        sleep_ma: drawn the rest of the time; must be given where ``duty_cycle`` is below 1.

    Raises:
        HearlessError: a capacity, current or share that cannot be, or no ``sleep_ma`` for a device that sleeps.
    """
    for name, value in (("capacity_mah", capacity_mah), ("current_ma", current_ma)):
        if not (math.isfinite(value) and value > 0):
            raise HearlessError(f"{name} must be a number above 0, got {value}.")
    if not 0 < duty_cycle <= 1:
        raise HearlessError(f"duty_cycle must be a share above 0 and at most 1, got {duty_cycle}; 0.1 is a tenth.")
    asleep = 0.0 if sleep_ma is None and duty_cycle == 1 else sleep_ma
    if asleep is None or not 0 <= asleep <= current_ma:
        raise HearlessError(
            f"sleep_ma must be what the device draws asleep, from 0 to its {current_ma:g} mA awake, got {sleep_ma}; "
            "measure it or read it off the data sheet."
        )
    return capacity_mah / (duty_cycle * current_ma + (1 - duty_cycle) * asleep)


def read_currents(path: str | Path) -> CurrentTable:
    """Read a device's own currents from a CSV file with the columns ``rate_hz`` and ``mA``, in any order of rates.

    Commas, semicolons or tabs part its columns; numbers have a decimal point; other columns are left alone.

    Raises:
        HearlessError: no such file or columns, or lists every row that is wrong (no number, a rate that is no whole
            number or comes twice, a current that is hardly one in mA).
    """
    path = Path(path)
    points: dict[int, float] = {}
    problems: list[str] = []
    for number, rate, current in _rows(path):
        fault = _fault(rate, current, points)
        if fault:
            problems.append(f"row {number}: {fault}")
        else:
            points[int(float(rate))] = float(current)
    if problems or not points:
        listed = "\n".join(f"- {problem}" for problem in problems or ["no rows below the column names"])
        raise HearlessError(f"{path} must give one current in mA for each rate in Hz; mend these rows:\n{listed}")
    rates = tuple(sorted(points))
    return CurrentTable(rates, tuple(points[rate] for rate in rates), path.name)


def _rows(path: Path) -> list[tuple[int, str, str]]:
    """Return line number, rate and current of each row that is not empty, as text."""
    if not path.is_file():
        raise HearlessError(
            f"currents must be a CSV file with the columns rate_hz and mA, got {path}, which is no file."
        )
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise HearlessError(f"{path} must be a CSV file of UTF-8 text ({error}).") from error
    header = lines[0] if lines else ""
    table = csv.reader(lines, delimiter=max(",;\t", key=header.count))
    names = [name.strip() for name in next(table, [])]
    if any(names.count(name) != 1 for name in COLUMNS):
        raise HearlessError(
            f"{path} must have the columns rate_hz and mA once each, got {', '.join(names) or 'none'}; rename them "
            "(and divide microamperes by 1000)."
        )
    at_rate, at_current = (names.index(name) for name in COLUMNS)
    filled = [(table.line_num, row + [""] * len(names)) for row in table if any(value.strip() for value in row)]
    return [(number, row[at_rate].strip(), row[at_current].strip()) for number, row in filled]


def _fault(rate: str, current: str, points: dict[int, float]) -> str:
    """Say what is wrong with a row; empty where nothing is."""
    try:
        rate_hz, ma = float(rate), float(current)
    except ValueError:
        return f"rate_hz and mA must be numbers with a decimal point, got {rate!r} and {current!r}"
    if not (rate_hz >= LEAST_HZ and rate_hz.is_integer()):
        return f"rate_hz must be a whole number of {LEAST_HZ} or more, got {rate!r}; write kilohertz in Hz"
    if rate_hz in points:
        return f"{rate_hz:g} Hz comes twice ({points[int(rate_hz)]:g} and {ma:g} mA); keep one, or their mean"
    return "" if LEAST_MA <= ma <= MOST_MA else _implausible(ma)


def _implausible(ma: float) -> str:
    """Say that a current is hardly in mA."""
    remedy = (
        "give what the device draws as a number above 0" if not ma > 0
        else "if it is in microamperes divide it by 1000" if ma > MOST_MA
        else "if it is in amperes multiply it by 1000"
    )  # fmt: skip
    return f"a current must lie in {LEAST_MA:g} … {MOST_MA:g} mA, got {ma:g}; {remedy}"
