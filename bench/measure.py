"""Measuring two ways in turn, and the table of what came out."""

from __future__ import annotations

import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it has no types

Way = Callable[[], Any]

LEAST_S = 0.05
"""Work shorter than this is repeated within one measurement."""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        what: what was measured, with its unit.
        ours, plain: medians.
        ratio: median over repeats: plain / ours for a speed (times faster), ours / plain for a cost.
        aim: such as ``"≥ 3"``, or empty.
        machine: where.
    """

    what: str
    ours: float
    plain: float
    ratio: float
    aim: str = ""
    machine: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the ratio reaches the aim; None without one."""
        if not self.aim:
            return None
        sign, _, value = self.aim.partition(" ")
        return self.ratio >= float(value) if sign == "≥" else self.ratio <= float(value)

    def cells(self) -> list[str]:
        """Return the row as text."""
        verdict = {None: "–", True: f"{self.aim}: met", False: f"{self.aim}: missed"}[self.met]
        return [self.what, digits(self.ours), digits(self.plain), digits(self.ratio), verdict, self.machine]


def digits(value: float) -> str:
    """Return three significant digits, without an exponent."""
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}" if value else "0"


def in_turn(ours: Way, plain: Way, repeats: int) -> tuple[list[float], list[float]]:
    """Time two ways alternately, the first one changing; return seconds a call of each repeat."""
    ways, calls = (ours, plain), (_calls(ours), _calls(plain))
    found: tuple[list[float], list[float]] = ([], [])
    for repeat in range(repeats):
        for which in (0, 1) if repeat % 2 else (1, 0):
            found[which].append(seconds(ways[which], calls[which]))
    return found


def _calls(way: Way) -> int:
    """Warm up and return how many calls make one measurement."""
    way()
    return math.ceil(LEAST_S / seconds(way, 1))


def seconds(way: Way, calls: int) -> float:
    """Return the seconds of one call, the mean of ``calls``."""
    began = time.perf_counter()
    for _ in range(calls):
        way()
    return (time.perf_counter() - began) / calls


def faster(what: str, ours: Sequence[float], plain: Sequence[float], scale: float = 1.0, aim: str = "") -> Row:
    """Return the row of a speed: seconds times ``scale``, and the median of how many times faster ours is."""
    ratio = statistics.median(p / o for o, p in zip(ours, plain, strict=True))
    return Row(what, statistics.median(ours) * scale, statistics.median(plain) * scale, ratio, aim, machine())


def real_time(what: str, ours: Sequence[float], heard_s: float, shown_s: float, aim: str = "") -> Row:
    """Return the row of a speed against real time: seconds that took ``heard_s``, told as those of ``shown_s``."""
    return faster(what, ours, [heard_s] * len(ours), shown_s / heard_s, aim)


def cost(what: str, ours: Sequence[float], plain: Sequence[float], scale: float = 1.0, aim: str = "") -> Row:
    """Return the row of a cost: the median of ours as a share of the plain one's."""
    ratio = statistics.median(o / p for o, p in zip(ours, plain, strict=True))
    return Row(what, statistics.median(ours) * scale, statistics.median(plain) * scale, ratio, aim, machine())


def cores() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> str:
    """Return the machine in words, as it is used right now."""
    kind, version = platform.machine().replace("_", "-"), torch.__version__.partition("+")[0]
    words = f"{cores()} core{'s' * (cores() > 1)} {kind}, torch {version}"
    return words if torch.get_num_threads() == cores() else f"{torch.get_num_threads()} of {words}"


@contextmanager
def threads(n: int) -> Iterator[None]:
    """Let torch and NumPy's libraries use ``n`` threads."""
    before = torch.get_num_threads()
    with threadpool_limits(n):
        torch.set_num_threads(n)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table."""
    head = ["what", "ours", "plain", "ratio", "aim", "machine"]
    lines = [head, ["---", "---:", "---:", "---:", "---", "---"], *(row.cells() for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def write(path: Path, rows: Sequence[Row], load: float) -> None:
    """Write the results with how to read them."""
    path.write_text(
        "# What hearless costs\n\n"
        "Written by `make bench`.  Each row compares ours with the plain reference in [plain.py](plain.py), both "
        "measured in turn in one run on one machine; a number is the median, a ratio the median of the ratios.  "
        "The ratio of a speed says how many times faster ours is, that of a memory, start-up or share row is ours over "
        "the plain one (of a share: the whole network).  "
        "Against real time, the plain one is how long the sound lasts.  "
        "Decoding and a stored teacher's pass happen once, before the steps that are timed.  "
        f"One-minute load before the run: {load:.1f}.\n\n" + table(rows),
        encoding="utf-8",
    )
