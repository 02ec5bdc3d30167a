from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hearless.dsp.octave_bands import CENTRE_HZ, NOMINAL_HZ
from hearless.interfaces import HearlessError
from hearless.levels import bands, open_levels

from .conftest import OCTAVES, THIRDS, join, street

A_TABLE = {
    20: -50.5, 25: -44.7, 31.5: -39.4, 40: -34.6, 50: -30.2, 63: -26.2, 80: -22.5, 100: -19.1, 125: -16.1, 160: -13.4,
    200: -10.9, 250: -8.6, 315: -6.6, 400: -4.8, 500: -3.2, 630: -1.9, 800: -0.8, 1000: 0.0, 1250: 0.6, 1600: 1.0,
    2000: 1.2, 2500: 1.3, 3150: 1.2, 4000: 1.0, 5000: 0.5, 6300: -0.1, 8000: -1.1, 10000: -2.5, 12500: -4.3,
    16000: -6.6,
}  # fmt: skip
"""The A curve to 0.1 dB as IEC 61672-1, table 3, prints it."""

SPELLINGS: list[Callable[[float], str]] = [
    lambda hz: f"{hz:g}",
    lambda hz: f"{hz:.1f}",
    lambda hz: f"{hz:g} Hz",
    lambda hz: f"{hz:g}Hz",
    lambda hz: f"{hz:g} Hz [dB]",
    lambda hz: f"LZeq_{hz:g}",
    lambda hz: f"L_eq {hz:g} Hz",
    lambda hz: f"1/3 octave LZeq {hz:g} Hz",
    lambda hz: f"{hz / 1000:g}k" if hz >= 1000 else f"{hz:g}",
    lambda hz: f"{hz / 1000:g} kHz" if hz >= 1000 else f"{hz:g} Hz",
    lambda hz: f"{hz / 1000:g}kHz",
    lambda hz: f"lzeq_{hz:g}".replace(".", "_"),
    lambda hz: f"LZeq_{hz / 1000:g}k".replace(".", "_") if hz >= 1000 else f"LZeq_{hz:g}".replace(".", "_"),
    lambda hz: f"{hz / 1000:g}k" if hz % 1000 == 0 else f"{hz / 1000:g}".replace(".", "k") if hz > 1000 else f"{hz:g}",
    lambda hz: f"{THIRDS.index(hz) + 1}: {hz:g} Hz" if hz in THIRDS else f"0: {hz:g} Hz",
    lambda hz: f"{1000 * 10 ** (round(10 * np.log10(hz / 1000)) / 10):.2f}",
    lambda hz: f"{1000 * 2 ** (round(3 * np.log2(hz / 1000)) / 3):.1f} Hz",
    lambda hz: f"{int(hz)} Hz",
]


def test_the_bands_are_those_of_the_capture() -> None:
    assert tuple(bands.nominal_hz(band) for band in bands.SETS["1/3"]) == NOMINAL_HZ == THIRDS
    np.testing.assert_allclose([bands.centre_hz(band) for band in bands.SETS["1/3"]], CENTRE_HZ, rtol=1e-12)
    assert tuple(bands.nominal_hz(band) for band in bands.SETS["1/1"]) == OCTAVES


@pytest.mark.parametrize("spell", SPELLINGS)
@pytest.mark.parametrize(("kind", "centres"), [("1/3", THIRDS), ("1/1", OCTAVES)])
def test_every_spelling_is_found(spell: Callable[[float], str], kind: str, centres: tuple[float, ...]) -> None:
    names = ["time", "LAeq", "L10", "L50", "L90", *map(spell, centres), "battery_5V"]
    found = bands.spectrum(Path("log.csv"), names, None)
    assert found == (kind, {band: 5 + place for place, band in enumerate(bands.SETS[kind])})


def test_bands_come_in_ascending_order_whatever_the_files(table: Callable[..., Path]) -> None:
    levels, order = street(20), np.random.default_rng(1).permutation(29)
    log = open_levels(table(np.arange(20.0), levels[:, order], [THIRDS[band] for band in order]))
    np.testing.assert_array_equal(join(log).levels_db, levels)
    assert (log.table.bands_hz, any(log.table.missing)) == (THIRDS, False)


def test_missing_bands_are_marked_and_bands_beyond_are_ignored(table: Callable[..., Path]) -> None:
    names = [*THIRDS[3:15], *THIRDS[16:], 16000, 20000, "LAeq"]
    log = open_levels(table(np.arange(9.0), street(9, len(names)), names))
    assert log.table.missing == tuple(band in (0, 1, 2, 15) for band in range(29))
    assert log.table.ignored == ("16000", "20000", "LAeq")
    np.testing.assert_array_equal(np.isnan(join(log).levels_db), np.tile(log.table.missing, (9, 1)))


@pytest.mark.parametrize("band", bands.SETS["1/3"] + (12,))
def test_the_a_curve_is_the_standards(band: int) -> None:
    assert bands.a_weighting_db(bands.centre_hz(band)) == pytest.approx(A_TABLE[bands.nominal_hz(band)], abs=0.051)


def test_the_a_curve_comes_off_when_asked_for(table: Callable[..., Path]) -> None:
    levels = street(5)
    path = table(np.arange(5.0), levels, [f"LAeq {hz:g} Hz" for hz in THIRDS])
    np.testing.assert_allclose(
        join(open_levels(path, weighting="A")).levels_db, levels - [A_TABLE[hz] for hz in THIRDS], atol=0.051
    )
    np.testing.assert_array_equal(join(open_levels(path, weighting="Z")).levels_db, levels)


@pytest.mark.parametrize("name", ["LAeq_{}", "LA_{}", "LAF {}", "LAFmax_{}", "L_Aeq {} Hz", "{} Hz dB(A)", "{} dBA"])
def test_weighted_bands_are_refused(table: Callable[..., Path], name: str) -> None:
    path = table(np.arange(5.0), street(5), [name.format(hz) for hz in THIRDS])
    with pytest.raises(HearlessError, match=r"A-weighted by its name.*weighting='A'"):
        open_levels(path)


def test_one_of_several_spectra_is_chosen_by_name(table: Callable[..., Path]) -> None:
    levels = street(5, 58)
    names = [f"{kind}_{hz:g}" for kind in ("LZeq", "LAeq") for hz in THIRDS]
    path = table(np.arange(5.0), levels, names)
    np.testing.assert_array_equal(join(open_levels(path, columns="lzeq")).levels_db, levels[:, :29])
    with pytest.raises(HearlessError, match=r"one column a band, got 'LZeq_20' and 'LAeq_20'; say which with columns="):
        open_levels(path)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["LAeq", "L10", "L50", "L90"], "at least 5 bands .* got 50 Hz; columns: time, LAeq, L10"),
        ([20, 25, 31.5, "LAeq"], r"got 20 Hz, 25 Hz, 31.5 Hz; columns: time, 20"),
        ([*THIRDS, "1 kHz"], "got '1000' and '1 kHz'"),
        ([f"band{band}" for band in range(29)], "at least 5 bands"),
        ([f"{hz} V" for hz in range(51, 59)], "at least 5 bands"),
    ],
)
def test_other_columns_are_refused(table: Callable[..., Path], names: list[object], says: str) -> None:
    with pytest.raises(HearlessError, match=says):
        open_levels(table(np.arange(5.0), street(5, len(names)), names))


def test_an_unknown_weighting_is_refused(table: Callable[..., Path]) -> None:
    with pytest.raises(HearlessError, match=r"weighting must be 'A', 'Z' or None .* got 'B'"):
        open_levels(table(np.arange(5.0), street(5)), weighting="B")
