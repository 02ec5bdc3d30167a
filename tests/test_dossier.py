"""The page on runs and studies: what a reader finds in it, and what a browser says of it."""

from __future__ import annotations

import io
import runpy
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

import hearless
from hearless import door
from hearless.cli import app
from hearless.dossier import chosen, dossier
from hearless.interfaces import HearlessError
from hearless.lab import Lab
from hearless.report import Report
from hearless.run import Predictions, Run
from hearless.study import Row, Study

pytestmark = pytest.mark.usefixtures("cached")
PAGES = runpy.run_path(str(Path(__file__).parent / "fakes" / "pages.py"))
Reader, browse = PAGES["Reader"], PAGES["browse"]

SMALL = {"backbone": "mn02", "epochs": 2, "batch_size": 8, "validation": 0.3}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def run(tiny: Path, runs: Path) -> Run:
    return hearless.train(labels=tiny / "meta.csv", runs=runs, method="fine_tuned", **SMALL)


@pytest.fixture
def study(run: Run, tiny: Path, runs: Path) -> Path:
    """Return the folder of a study of that run."""
    made = Study(
        "low_rate/small", "A small study", "A task.", (Row("fine-tuned, 1 kHz", {}, (run.recipe,)),), (0,), ("1",)
    )
    return Lab(runs, tiny).study(made, "hearless study low_rate/small").save(runs / "studies" / "low_rate" / "small")


def test_a_page_on_a_run(run: Run, tiny: Path, tmp_path: Path) -> None:
    made = dossier([run.path], tmp_path / "a.html", root=tiny, n_clips=2, command="hearless report A")
    text = made.read_text(encoding="utf-8")
    read = Reader(text)
    assert all(source.startswith("data:") for source in read.sources)
    for words in (
        "hearless report A",
        "accuracy",
        "95 % intervals",
        "1 hiss",
        "epoch",
        "LowRate (rate_hz 1000",
        "commit",
    ):
        assert words in read.words.replace("\u2002", " "), words
    right = Predictions.load(run.predictions("test"))
    matrix = text[text.index('class="matrix"') :]
    counts = [
        int(cell)
        for cell in Reader(matrix[matrix.index("<tbody>") : matrix.index("</tbody>") + 8]).cells
        if cell.isdecimal()
    ]
    assert sum(counts) == len(right.ids)
    assert len(run.metrics()) == 2
    assert read.tags.count("polyline") == 2
    sounds = [source for source in read.sources if source.startswith("data:audio")]
    assert len(sounds) == 4
    heard, rate_hz = soundfile.read(io.BytesIO(b64decode(sounds[0].partition(",")[2])))
    assert rate_hz == 16000
    assert len(heard) == 8000
    spectrum = np.abs(np.fft.rfft(heard))
    assert spectrum[300:].max() < 0.02 * spectrum.max()  # bins of 2 Hz: nothing above 600 Hz


def test_a_page_on_a_study_tells_of_its_runs(run: Run, study: Path, runs: Path, tmp_path: Path) -> None:
    assert Report.load(study).rows[0].runs == (f"{run.path.parent.name}/{run.path.name}",)
    door.study("low_rate/power", runs=runs, place=runs / "studies" / "low_rate" / "power").save(
        runs / "studies" / "low_rate" / "power"
    )
    done = CliRunner().invoke(
        app, ["report", "low_rate/power", str(study), "--runs", str(runs), "--out", str(tmp_path / "b.html")]
    )
    assert done.exit_code == 0, done.output
    read = Reader((tmp_path / "b.html").read_text(encoding="utf-8"))
    for words in ("Hours on a battery", "A small study", "hearless study low_rate/small", "Name the folder", "1 hiss"):
        assert words in read.words.replace("\u2002", " "), words
    assert read.tags.count("img") == 1  # the bars of the battery
    assert "audio" not in read.tags


def test_a_studys_runs_are_found_above_it_or_said_to_be_missing(study: Path, runs: Path, tmp_path: Path) -> None:
    found = Reader(dossier([study], tmp_path / "a.html", runs=tmp_path).read_text(encoding="utf-8"))
    assert "polyline" in found.tags
    moved = Report.load(study).save(tmp_path / "moved")
    missed = Reader(dossier([moved], tmp_path / "b.html", runs=tmp_path).read_text(encoding="utf-8"))
    assert "The runs of this table were not found" in missed.words
    assert "polyline" not in missed.tags
    again = Reader(dossier([moved], tmp_path / "c.html", runs=runs).read_text(encoding="utf-8"))
    assert "polyline" in again.tags


def test_two_runs_on_a_page_are_compared_or_it_is_said_why_not(
    run: Run, tiny: Path, runs: Path, tmp_path: Path
) -> None:
    other = hearless.train(labels=tiny / "meta.csv", runs=runs, method="full_band", **SMALL)
    made = Reader(dossier([run.path, other.path], tmp_path / "a.html", runs=runs).read_text(encoding="utf-8"))
    assert "p (McNemar)" in made.words
    elsewhere = hearless.train(labels=tiny / "meta.csv", runs=runs, method="full_band", fold="2", **SMALL)
    made = Reader(dossier([run.path, elsewhere.path], tmp_path / "b.html", runs=runs).read_text(encoding="utf-8"))
    assert "Not compared: runs must share a fold and a seed" in made.words
    assert "p (McNemar)" not in made.words


def test_a_browser_finds_nothing_wrong(run: Run, study: Path, tiny: Path, runs: Path, tmp_path: Path) -> None:
    made = dossier([study, run.path], tmp_path / "c.html", root=tiny, n_clips=1, runs=runs)
    dom, console = browse(made, tmp_path)
    assert console == []
    assert 'data-heard="0.50 0.50"' in dom
    seen = dom.partition('data-seen="')[2].partition('"')[0].split()
    assert len(seen) == 1
    assert int(seen[0]) > 400
    assert "A small study" in Reader(dom).words


def test_the_surest_right_and_wrong_are_shown() -> None:
    logits = np.log(np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.45, 0.55]], np.float32))
    true = np.eye(2, dtype=np.float32)[[0, 0, 0, 0]]
    names = np.array(list("abcd"))
    found = Predictions(names, true, logits, names)
    assert chosen(found, 3) == [0, 2, 1]
    assert chosen(found, 9) == [0, 2, 1, 3]


def test_wrong_input(run: Run, tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(HearlessError, match="needs a run or a study"):
        dossier([], tmp_path / "a.html")
    with pytest.raises(HearlessError, match=r"root must be the folder of the recordings, got nowhere, which is"):
        dossier(["low_rate/table1"], tmp_path / "a.html", root="nowhere")
    with pytest.raises(HearlessError, match=r"has no report.json; run hearless study low_rate/table1 --runs .* first"):
        dossier(["low_rate/table1"], tmp_path / "a.html", runs=tmp_path)
    with pytest.raises(HearlessError, match="holds no finished run"):
        dossier([tmp_path], tmp_path / "a.html")
    with pytest.raises(HearlessError, match=r"nor a study \(did you mean low_rate/table1\?\); .*/power"):
        dossier(["low_rate/tabel1"], tmp_path / "a.html", runs=tmp_path)
    with pytest.raises(HearlessError, match=r"'x9' is neither a folder nor a study; studies are ") as caught:
        dossier(["x9"], tmp_path / "a.html", runs=tmp_path)
    assert "low_rate/cssd" not in str(caught.value)  # a recipe
    with pytest.raises(HearlessError, match="n_clips must be at least 1"):
        dossier([run.path], tmp_path / "a.html", n_clips=0)
    with pytest.raises(HearlessError, match=r"meta\.csv"):
        dossier([run.path], tmp_path / "a.html", root=tmp_path)
