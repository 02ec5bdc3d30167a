"""A wish in words, such as "battery >= 58, words not recoverable, best accuracy", and the row that fulfils it best."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hearless.interfaces import HearlessError
from hearless.report import Report, Row, show
from hearless.statistics import Measure

NAMES = ("accuracy", "battery", "words", "speakers", "wer", "stoi", "sent", "size")
SHARES = ("accuracy", "words", "speakers")
LESS_IS_MORE = ("words", "speakers", "stoi", "sent", "size")
SIGNS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge, "≥": operator.ge, "<=": operator.le, "≤": operator.le, ">": operator.gt, "<": operator.lt,
}  # fmt: skip
NOT_RECOVERABLE = "words not recoverable"
HARDLY_ANY = 0.9
"""Of the words must be wrong where they are not to be recovered."""

MOST_NAMED = 4
UNITS: dict[str, dict[str, float]] = {
    **{name: {"%": 0.01} for name in (*SHARES, "wer", "stoi")},
    "battery": {"h": 1.0, "d": 24.0},
    "sent": {"b/s": 1e-3, "kb/s": 1.0, "mb/s": 1e3},
    "size": {"b": 1e-3, "kb": 1.0, "mb": 1e3},
}
"""What a bound's unit makes of its number, in the unit of the tables; capitals say nothing."""

BOUND = re.compile(r"(\w+)\s*(>=|<=|≥|≤|>|<)\s*([\d.]+)\s*(%|[a-z]+(?:\s*/\s*s)?)?")
GOAL = re.compile(r"(?:best|most|least|highest|lowest|longest|smallest)\s+(\w+)")


@dataclass(frozen=True)
class Condition:
    """One part of a wish: what was written, whether a row fulfils it, and of which measures one must be known.

    ``short`` says of a row that knows them by how much it falls short, 0 where it does not; None: it is all or nothing.
    """

    text: str
    holds: Callable[[Row], bool]
    asks: tuple[str, ...]
    short: Callable[[Row], float] | None = None

    def is_known(self, row: Row) -> bool:
        """Say whether anything is known of a row that decides it."""
        return _knows_any(row, self.asks)


@dataclass(frozen=True)
class Wish:
    """Conditions, and the measure that is to be best, as a name and as it was written."""

    conditions: tuple[Condition, ...]
    goal: str
    written: str


def parsed(text: str) -> Wish:
    """Read a wish: parts between commas, each a bound, "words not recoverable", or "best MEASURE" (default: accuracy).

    Raises:
        HearlessError: a part that is none of these, a unit that its measure does not have, or two goals.
    """
    conditions: list[Condition] = []
    goals: dict[str, str] = {}
    for part in filter(None, (one.strip() for one in text.split(","))):
        said = part.lower()
        if said == NOT_RECOVERABLE:
            conditions.append(Condition(part, not_recoverable, ("words", "wer")))
        elif (found := GOAL.fullmatch(said)) and found[1] in NAMES:
            goals[found[0]] = found[1]
        elif (found := BOUND.fullmatch(said)) and found[1] in NAMES and re.fullmatch(r"\d*\.?\d+", found[3]):
            conditions.append(_bound(part, found[1], found[2], float(found[3]), found[4]))
        else:
            raise HearlessError(
                f"wish {part!r} must be a bound such as 'battery >= 58', {NOT_RECOVERABLE!r} or 'best accuracy', of "
                f"{', '.join(NAMES)}; bounds may have a unit (%, h, kB or kB/s); part them by commas."
            )
    if len(goals) > 1:
        raise HearlessError(f"a wish has one goal, got {' and '.join(goals)}; make bounds of the others.")
    written, goal = next(iter(goals.items()), ("best accuracy", "accuracy"))
    return Wish(tuple(conditions), goal, written)


def _bound(text: str, name: str, sign: str, value: float, unit: str | None) -> Condition:
    holds, known = SIGNS[sign], UNITS[name]
    plain = "".join((unit or "").split())
    if plain and plain not in known:
        raise HearlessError(
            f"wish {text!r}: {name} must be bounded in {' or '.join(known)}, got {unit}; leave the unit out or mend it."
        )
    limit = value * known[plain] if plain else value / 100 if name in SHARES and value > 1 else value
    if name in SHARES and limit > 1:
        raise HearlessError(f"wish {text!r}: {name} must be bounded by 0 to 100 %, got {value:g} {plain or '%'}.")

    def fulfilled(row: Row) -> bool:
        return _knows(row, name) and holds(row.metrics[name].value, limit)

    def short(row: Row) -> float:
        return 0.0 if fulfilled(row) else abs(row.metrics[name].value - limit)

    return Condition(text, fulfilled, (name,), short)


def _knows(row: Row, name: str) -> bool:
    return name in row.metrics and not math.isnan(row.metrics[name].value)


def _knows_any(row: Row, names: Sequence[str]) -> bool:
    return any(_knows(row, name) for name in names)


def not_recoverable(row: Row) -> bool:
    """Say whether words can hardly be made out: by no measure that there is, and there is one.

    The best attacker may be as good as chance (within its interval), the recogniser gets nine words of ten wrong.
    """
    words, chance, wer = (row.metrics.get(name) for name in ("words", "words_chance", "wer"))
    said = []
    if words is not None and chance is not None:
        least = words.value if math.isnan(words.low) else words.low
        said.append(least <= chance.value)
    if wer is not None:
        said.append(wer.value >= HARDLY_ANY)
    return bool(said) and all(said)


def advice(report: Report, wish: Wish) -> str:
    """Say in a sentence which row of a report fulfils a wish best, or what stands in its way, and what is not known."""
    wanted = ", ".join([*(one.text for one in wish.conditions), wish.written])
    found = _best(report.rows, wish.conditions, wish.goal)
    if found:
        taken = _taken(report, wish.conditions, wish.goal, found)
        return f"Wished for: {wanted}. Take {taken}.{_unknown(report.rows, wish)}"
    alone = [one for one in wish.conditions if not any(map(one.holds, report.rows))]
    missed = [f"{one.text!r}{_nearest(report, one)}" for one in alone if any(map(one.is_known, report.rows))]
    why = f"none fulfils {' or '.join(missed)}" if missed else "" if alone else "no row fulfils all of it"
    nearest = []
    for left_out in wish.conditions:
        rest = tuple(one for one in wish.conditions if one is not left_out)
        if other := _best(report.rows, rest, wish.goal):
            nearest.append(f"without {left_out.text!r} take {_taken(report, rest, wish.goal, other)}")
    said = "; ".join(filter(None, (why, *nearest)))
    return f"Wished for: {wanted}. Nothing here{f': {said}' if said else ''}.{_unknown(report.rows, wish)}"


def _nearest(report: Report, condition: Condition) -> str:
    """Return how near any row comes to a bound; nothing where it has none."""
    if condition.short is None:
        return ""
    (name,) = condition.asks
    nearest = min(filter(condition.is_known, report.rows), key=condition.short)
    value, unit = show(Measure(nearest.metrics[name].value), report.unit(name)), report.unit(name)
    return f" (nearest: {nearest.label}, {value} {unit})"


def _taken(report: Report, conditions: Sequence[Condition], goal: str, best: Row) -> str:
    """Say what is known of the best row, and which other rows are perhaps as good: the goal's intervals meet."""
    least, most = _ends(best.metrics[goal])
    others = [row for row in report.rows if row is not best and _fulfils(row, conditions, goal)]
    ends = {row.label: _ends(row.metrics[goal]) for row in others} if least < most else {}
    alike = [label for label, (low, high) in ends.items() if low <= most and high >= least]
    return _told(report, best) + (f", perhaps no better than {_some(alike)}: intervals meet" if alike else "")


def _some(labels: Sequence[str]) -> str:
    """Return names, of many the first and how many more there are."""
    more = len(labels) - MOST_NAMED
    return "; ".join(labels) if more <= 1 else f"{'; '.join(labels[:MOST_NAMED])} and {more} more"


def _ends(measure: Measure) -> tuple[float, float]:
    return (measure.value, measure.value) if math.isnan(measure.low) else (measure.low, measure.high)


def _fulfils(row: Row, conditions: Sequence[Condition], goal: str) -> bool:
    return _knows(row, goal) and all(one.holds(row) for one in conditions)


def _unknown(rows: Sequence[Row], wish: Wish) -> str:
    """Return sentences on what no row or only some rows tell of what a wish asks for, of rows that do not fail else."""
    asked = [one.asks for one in wish.conditions] + [(wish.goal,)]
    said = []
    out = [row for row in rows if any(one.is_known(row) and not one.holds(row) for one in wish.conditions)]
    for names in dict.fromkeys(asked):
        everywhere = not any(_knows_any(row, names) for row in rows)
        unknown = [row.label for row in rows if not _knows_any(row, names) and (everywhere or row not in out)]
        if everywhere:
            said.append(f" Not known of any row: {' and '.join(names)}.")
        elif unknown:
            said.append(f" Not judged, for want of {' or '.join(names)}: {_some(unknown)}.")
    return "".join(said)


def _best(rows: Sequence[Row], conditions: Sequence[Condition], goal: str) -> Row | None:
    """Return the best row; of equals one that none dominates, then the most accurate."""
    known = [row for row in rows if _fulfils(row, conditions, goal)]
    sign = -1 if goal in LESS_IS_MORE else 1

    def worth(row: Row) -> tuple[float, bool, float]:
        accuracy = row.metrics["accuracy"].value if _knows(row, "accuracy") else -math.inf
        return sign * row.metrics[goal].value, not row.condition.get("dominated by"), accuracy

    return max(known, key=worth) if known else None


def _told(report: Report, row: Row) -> str:
    said = [
        f"{name} {show(Measure(row.metrics[name].value), report.unit(name))} {report.unit(name)}"
        for name in report.columns if name in row.metrics
    ]  # fmt: skip
    return f"{row.label} ({', '.join(said)})"
