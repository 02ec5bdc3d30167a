"""Bands by the centre frequencies in column names (IEC 61260-1, base ten), and the A curve (IEC 61672-1).

Bands are numbered in thirds of an octave from 1 kHz: band ``n`` lies at ``1000 * 10 ** (n / 10)`` Hz.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from hearless.interfaces import HearlessError
from hearless.levels.tables import F64

SETS = {"1/3": tuple(range(-17, 12)), "1/1": tuple(range(-15, 13, 3))}
"""The bands delivered, as IEC 61260-1 counts thirds of an octave from 1 kHz: 20 Hz to 12.5 kHz, 31.5 Hz to 16 kHz."""

MIN_BANDS = 5
"""Fewer columns than these are no spectrum; L10, L50 and L90 are not bands."""

_MANTISSA = (1.0, 1.25, 1.6, 2.0, 2.5, 3.15, 4.0, 5.0, 6.3, 8.0)
_NUMBER = r"(?<![\d.,])(?:(\d+)k(\d+)|(\d+(?:[{point}]\d+)?)\s*(k?))\s*(?:hz)?(?![a-z\d])"
_NUMBERS = [re.compile(_NUMBER.format(point=point)) for point in (".,", ".,_")]
_WEIGHTED = re.compile(r"(?:(?:^|[^a-z])(?:l[ _]?)?|db ?)([ac])[fsi]?(?:eq|max|min)?(?![a-z])")


def nominal_hz(band: int) -> float:
    """Return what meters call band ``band`` (thirds of an octave from 1 kHz): -15 → 31.5."""
    return round(_MANTISSA[band % 10] * 10.0 ** (3 + band // 10), 6)


def centre_hz(band: int) -> float:
    """Return the exact centre of band ``band``, IEC 61260-1, base ten."""
    return float(1000.0 * 10.0 ** (band / 10))


def band_of(frequency_hz: float, lowest: int = -22, highest: int = 13) -> int | None:
    """Return the band (6.3 Hz to 20 kHz unless said) whose centre is within 2 % of a frequency, or None."""
    if not 0.0 < frequency_hz < math.inf:
        return None
    band = round(10.0 * math.log10(frequency_hz / 1000.0))
    near = abs(frequency_hz / centre_hz(band) - 1.0) <= 0.02
    return band if near and lowest <= band <= highest else None


def a_weighting_db(frequency_hz: float) -> float:
    """Return the A curve of IEC 61672-1, annex E, 0 dB at 1 kHz."""
    square = frequency_hz**2
    low, high = 20.598997**2, 12194.217**2
    bend = math.sqrt((square + 107.65265**2) * (square + 737.86223**2))
    response = high * square**2 / ((square + low) * bend * (square + high))
    return 20.0 * math.log10(response) + 2.0 if response > 0 else -math.inf


def band_names(names: Sequence[str]) -> list[dict[int, list[int]]]:
    """Find the bands in column names, grouped by what surrounds the frequency, the largest group first.

    Every number in a name that is a nominal or exact centre is tried, with k, kHz or Hz behind it, with a point,
    comma or underscore as its decimal sign (``LZeq_31_5``) or k in its place (``1k25``).  A spectrum's columns differ
    in that number alone.

    Returns:
        Groups of band → its columns, more than one where they are doubled.
    """
    groups: dict[str, dict[int, list[int]]] = {}
    for column, name in enumerate(names):
        text = name.casefold()
        for match in (match for pattern in _NUMBERS for match in pattern.finditer(text)):
            band = band_of(_frequency_hz(match))
            if band is not None:
                around = [re.sub(r"\s", "", re.sub(r"\d+", "0", text[: match.start()])), text[match.end() :].strip()]
                columns = groups.setdefault("#".join(around), {}).setdefault(band, [])
                columns += [column] if column not in columns else []
    return sorted(groups.values(), key=len, reverse=True)


def is_header(cells: Sequence[str]) -> bool:
    """Tell whether a line may be a header: cells that are bare numbers are all centres, as no row of levels is."""
    numbers = [float(cell.replace(",", ".")) for cell in cells if re.fullmatch(r"-?\d+([.,]\d+)?", cell)]
    return all(band_of(number, -60, 30) is not None for number in numbers)


def _frequency_hz(match: re.Match[str]) -> float:
    whole, thousandths, number, kilo = match.groups()
    text = f"{whole}.{thousandths}" if whole else number.replace(",", ".").replace("_", ".")
    return float(text) * (1000.0 if whole or kilo else 1.0)


def spectrum(path: Path, names: Sequence[str], wanted: str | None) -> tuple[str, dict[int, int]]:
    """Return the kind of bands and the column of each, or say what was found instead."""
    groups = band_names([name if wanted is None or wanted.casefold() in name.casefold() else "" for name in names])
    best = groups[0] if groups else {}
    kind = "1/3" if any(band % 3 for band in best) else "1/1"
    delivered = [band for band in SETS[kind] if band in best]
    listed = f"columns: {', '.join(names[:60])}"
    if len(delivered) < MIN_BANDS:
        got = ", ".join(f"{nominal_hz(band):g} Hz" for band in delivered) or "none"
        raise HearlessError(
            f"{path} must name at least {MIN_BANDS} bands by their centre frequencies (20, 25, 31.5 Hz …), got {got}; "
            f"{listed}.  Name them in the first line, or in columns_hz where the format has none."
        )
    rivals = [next(iter(group.values())) for group in groups[1:] if len(group) > len(best) / 2]
    doubled = [columns for columns in best.values() if len(columns) > 1] or [
        [*next(iter(best.values())), *rival] for rival in rivals
    ]
    if doubled:
        raise HearlessError(
            f"{path} must hold one column a band, got {' and '.join(repr(names[column]) for column in doubled[0])}; "
            f"say which with columns='part of their names'; {listed}."
        )
    return kind, {band: best[band][0] for band in delivered}


def curve_db(path: Path, names: Iterable[str], bands: Iterable[int], weighting: str | None) -> F64:
    """Return what to take off each band: the A curve where asked for; refuse weighted columns otherwise."""
    if weighting not in (None, "A", "Z"):
        raise HearlessError(f"weighting must be 'A', 'Z' or None (as the header says), got {weighting!r}.")
    for name in names if weighting is None else ():
        mark = _WEIGHTED.search(name.casefold())
        if mark:
            raise HearlessError(
                f"{path} must hold unweighted bands, got {name!r}, {mark[1].upper()}-weighted by its name; choose "
                "others with columns='LZeq', or give weighting='A' to have the curve taken off, or 'Z' if it is not."
            )
    curve = np.array([a_weighting_db(centre_hz(band)) for band in bands])
    return curve if weighting == "A" else np.zeros_like(curve)
