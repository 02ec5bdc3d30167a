"""Paper 003's bit rates: the printed ones, what they stand for, and the table in the folder's README."""

from __future__ import annotations

import csv
from importlib.resources import files
from pathlib import Path

import pytest

from hearless.recipes.spectral_transcoder._bit_rates import forms, short, table

OF = {form.name: form for form in forms()}
FAST, PANN, YAMNET = OF["third-octave levels, fast"], OF["Mel of PANN ResNet38"], OF["Mel of YAMNet"]


@pytest.mark.data
def test_they_are_the_papers(shared: Path) -> None:
    with (shared / "papers" / "tables" / "003_table1_representations.csv").open(encoding="utf-8", newline="") as file:
        printed = next(row for row in csv.DictReader(file) if row["field"] == "bit_rate_kb_s")
    ours = {"pann_mel": PANN, "yamnet_mel": YAMNET, "third_octave_cense": FAST}
    assert {name: form.published for name, form in ours.items()} == {name: float(printed[name]) for name in ours}
    assert {name: f"{form.kb_s:.3g}" for name, form in ours.items()} == {name: printed[name] for name in ours}


def test_they_are_bits_times_values() -> None:
    assert (FAST.kb_s, PANN.kb_s, YAMNET.kb_s) == (29 * 8 * 16 / 1e3, 101 * 64 * 16 / 1e3, 98 * 64 * 16 / 1e3)
    assert round(OF["sound, 32 kHz"].kb_s / FAST.kb_s) == 138  # as its introduction says
    assert FAST.gb_a_year == pytest.approx(3712 / 8 * 3600 * 24 * 365.25 / 1e9)
    assert FAST.kb_s == 8 * OF["third-octave levels, slow"].kb_s


def test_the_readme_holds_the_table() -> None:
    text = (files("hearless.recipes") / "spectral_transcoder" / "README.md").read_text(encoding="utf-8")
    assert text.partition("<!-- bit_rates -->\n")[2].partition("<!-- /bit_rates -->")[0] == table()
    assert {line.count("|") for line in table().splitlines()} == {7}


@pytest.mark.parametrize(("value", "said"), [(0.464, "0.464"), (102.4, "102"), (1103.4, "1,103"), (3.712, "3.71")])
def test_numbers_are_short(value: float, said: str) -> None:
    assert short(value) == said
