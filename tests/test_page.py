"""Pieces of a page: read back by an HTML parser, held against numpy, and opened in a browser where there is one."""

from __future__ import annotations

import base64
import io
import math
import re
import runpy
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile
from sklearn.metrics import confusion_matrix

from hearless import page
from hearless.interfaces import HearlessError
from hearless.report import Report, Row
from hearless.statistics import Measure

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
Reader = runpy.run_path(str(Path(__file__).parent / "fakes" / "pages.py"))["Reader"]


def report() -> Report:
    rows = (
        Row("16 <kHz>", {"rate": "16 kHz"}, {"accuracy": Measure(0.8, 0.7, 0.9)}, {"dog": Measure(0.5)}),
        Row("1 kHz", {"rate": "1 kHz"}, hole="stopped"),
    )
    return Report("Rates & more", "A task.", ("accuracy",), rows, command="hearless study 'x'", commit="abc")


def test_a_page_is_whole_escaped_and_points_nowhere(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PIXEL)
    made = page.page("A & B", *page.of_report(report()), page.image(tmp_path / "a.png"), "", page.bullets([]))
    read = Reader(made)
    assert "A &amp; B" in made
    assert "16 <kHz>" in read.cells
    assert "80.0 [70.0, 90.0]" in read.cells
    assert "missing (stopped)" in made
    assert "hearless study &#x27;x&#x27;" in made
    assert all(source.startswith("data:") for source in read.sources)
    assert not re.search(r"https?://", made)
    assert read.tags.count("h2") == 2


def test_the_matrix_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    true, said = rng.integers(0, 3, 50), rng.integers(0, 3, 50)
    read = Reader(page.confusion(true, said, ["a", "b", "c"]))
    numbers = [cell for cell in read.cells if cell.isdecimal()][3:]
    assert [int(n) for n in numbers] == confusion_matrix(true, said).ravel().tolist()


def test_bars_are_ranked_and_as_long_as_their_values() -> None:
    made = page.bars({"low": Measure(0.25), "none": Measure(math.nan), "high": Measure(0.75, 0.5, 1.0)})
    assert Reader(made).cells[3:] == ["high", "75.0 [50.0, 100.0]", "", "low", "25.0", ""]
    assert re.findall(r'rect width="([\d.]+)"', made) == ["75.0", "25.0"]
    assert "M50.0 5H100.0" in made
    assert page.bars({}) == ""


def test_curves_go_through_their_points() -> None:
    made = page.curves({"one": [1.0, 3.0, 2.0], "two": [math.nan, 1.0], "none": [math.nan]}, up="loss")
    root = ElementTree.fromstring(made)
    lines = root.findall("polyline")
    assert len(lines) == 2
    first = [tuple(map(float, point.split(","))) for point in lines[0].attrib["points"].split()]
    assert [x for x, _ in first] == pytest.approx([56, 343, 630])
    heights = [y for _, y in first]
    assert heights[1] == 10
    assert heights[0] == 224
    assert heights[2] == pytest.approx(117)
    assert {text.text for text in root.findall("text")} == {"3", "1", "epoch", "loss", "one", "two"}
    assert page.curves({"none": []}) == ""
    assert "<circle" in page.curves({"one epoch": [1.0]})
    assert made.count("<circle") == 1  # of the line with one point


def test_a_picture_plays_its_sound(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PIXEL)
    samples = np.linspace(-1.5, 1.0, 800).astype(np.float32)
    made = page.playing(page.image(tmp_path / "a.png"), samples, 16000, "a ramp")
    read = Reader(made)
    picture, sound = read.sources
    assert base64.b64decode(picture.partition(",")[2]) == PIXEL
    found, rate_hz = soundfile.read(io.BytesIO(base64.b64decode(sound.partition(",")[2])))
    assert rate_hz == 16000
    assert np.abs(found - np.clip(samples, -1, 1)).max() < 1e-4


def test_wrong_input(tmp_path: Path) -> None:
    with pytest.raises(HearlessError, match="must be a PNG or SVG picture"):
        page.image(tmp_path / "a.gif")
    with pytest.raises(HearlessError, match="cannot be read"):
        page.image(tmp_path / "a.png")
    with pytest.raises(HearlessError, match=r"at 8 to 96 kHz, got shape .* at 1000 Hz"):
        page.playing("", np.zeros(5), 1000, "a sound")
    with pytest.raises(HearlessError, match="must be finite samples"):
        page.playing("", np.array([np.nan]), 16000, "a sound")
