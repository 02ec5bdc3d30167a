"""Exported files on the command line: tables, events and live streams, with nothing of torch imported."""

from __future__ import annotations

import csv
import json
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import Result
from typer.testing import CliRunner

from hearless import cli
from hearless.artifact import Artifact

MADE: dict[str, Any] = runpy.run_path(str(Path(__file__).with_name("test_artifact.py")))
CARD = replace(MADE["CARD"], none_below=0.8, temperature=0.5)

NO_TORCH = """
import sys
from hearless import cli
try: cli.app(sys.argv[1:])
except SystemExit as end: code = end.code
print(sorted({'torch', 'lightning_fabric', 'onnx', 'sklearn', 'matplotlib'} & sys.modules.keys()), code)
"""


def hearless(*words: object, code: int = 0) -> Result:
    result = CliRunner().invoke(cli.app, [str(word) for word in words])
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def alone(*words: object, sound: bytes = b"") -> list[str]:
    """Type a command in a process of its own and return what it prints, which of torch was imported and its code."""
    typed = [sys.executable, "-c", NO_TORCH, *map(str, words)]
    done = subprocess.run(typed, input=sound, capture_output=True, check=False)
    return done.stdout.decode().splitlines()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Return a file that hears 0.5 s at 1 kHz: logits are minus and plus the mean, for "quiet" and "loud"."""
    return Path(MADE["write"](tmp_path / "a.onnx", CARD))


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """Return two sounds, one at 8 kHz, one recorded below the sensor's rate, and a broken one."""
    folder = tmp_path / "sounds"
    folder.mkdir()
    samples = np.repeat(np.float32([-0.9, 0.9, 0.0]), 4000)
    soundfile.write(folder / "steps.wav", samples, 8000, subtype="FLOAT")
    soundfile.write(folder / "loud.wav", np.full(500, 0.9), 1000, subtype="FLOAT")
    soundfile.write(folder / "slow.wav", samples, 500)
    (folder / "broken.wav").write_bytes(b"RIFF")
    return folder


def test_an_exported_file_predicts_without_torch(model: Path, sounds: Path) -> None:
    *lines, end = alone("predict", model, sounds / "loud.wav", sounds / "steps.wav", "--windows")
    assert end == "[] 0"
    assert lines[0].startswith(f"{sounds / 'loud.wav'}: loud 0.97, quiet 0.03")
    assert [line.split(": ")[1][:13] for line in lines[3:]] == ["quiet 0.97, l", "loud 0.97, qu", "none of these"]


def test_the_table_is_that_of_the_file_in_python(model: Path, sounds: Path, tmp_path: Path) -> None:
    *_, end = alone("predict", model, sounds, "--out", tmp_path / "x.csv")
    assert end == "[] 1"
    with (tmp_path / "x.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [Path(row["path"]).name for row in rows if row["error"]] == ["broken.wav", "slow.wav"]
    assert "recorded at 1000 Hz or more, got 500 Hz" in rows[-3]["error"]
    said = {row["label"]: float(row["score"]) for row in rows if row["path"].endswith("loud.wav")}
    assert said == pytest.approx(Artifact(model).predict(np.full(500, 0.9), 1000), rel=1e-5)
    result = hearless("predict", model, sounds, "--csv", tmp_path / "y.csv", code=1)
    assert "2 files could not be read" in result.stderr
    assert (tmp_path / "x.csv").read_bytes() == (tmp_path / "y.csv").read_bytes()


def test_events_in_every_format(model: Path, sounds: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.txt"
    text = hearless("predict", model, sounds / "steps.wav", "--out", out).stdout
    assert f"{out} written: 1 file." in text
    assert out.read_text() == "0.000000\t0.500000\tquiet 0.97\n0.500000\t1.000000\tloud 0.97\n"
    again = hearless("predict", model, sounds / "steps.wav", "--out", out, "--json").stdout
    assert json.loads(again) == {"table": str(out), "files": 1, "heard": 0, "broken": {}}
    for name in ("x.csv", "x.parquet", "x.selections.txt"):
        hearless("predict", model, sounds, "--events", "--threshold", "0.9", "--out", tmp_path / name, code=1)
    with (tmp_path / "x.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if "steps" in row["path"]]
    times = [(row["label"], row["start_s"], row["end_s"]) for row in rows]
    assert times == [("quiet", "0.0", "0.5"), ("loud", "0.5", "1.0")]
    assert (tmp_path / "x.selections.txt").read_text().startswith("Selection\tView\t")
    hearless("predict", model, sounds / "steps.wav", "--out", tmp_path / "y.any", "--format", "raven")
    assert "steps.wav" in (tmp_path / "y.any").read_text()


def test_a_stream_is_heard_without_torch(model: Path) -> None:
    samples = (32767 * np.repeat([-0.9, 0.9, 0.0], 8000)).astype("<i2").tobytes()
    *lines, end = alone("listen", model, "--from", "stdin", "--rate", 16000, "--hop", 1, sound=samples)
    assert [line.partition(" s: ")[0] for line in lines] == ["0.50", "1.50"]
    *lines, end = alone("listen", model, "--from", "stdin", "--rate", 16000, "--hop", 0.25, sound=samples)
    assert end == "[] 0"
    assert [line.partition(" s: ")[0] for line in lines] == ["0.50", "0.75", "1.00", "1.25", "1.50"]
    told = [line.partition(" s: ")[2].split(" ")[0] for line in lines]
    assert told == ["quiet", "none", "loud", "loud", "none"]
    assert all(line.endswith(" ms]") for line in lines)


def test_a_file_is_heard_as_a_stream(model: Path, sounds: Path) -> None:
    result = hearless("listen", model, "--from", sounds / "steps.wav", "--hop", 0.5, "--json", "--smooth", 2)
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert [one["time_s"] for one in found] == [0.5, 1.0, 1.5]
    assert [one["named"] for one in found] == [["quiet"], [], []]
    assert found[1]["scores"] == pytest.approx({"quiet": 0.5, "loud": 0.5}, abs=0.01)
    assert all(one["latency_s"] > 0 for one in found)
    assert "3 decisions, one every 0.5 s; latency " in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["predict", "CUT", "SOUNDS"], "cut.onnx cannot be run by onnxruntime"),
        (["predict", "gone.onnx", "SOUNDS"], "gone.onnx is not there"),
        (["predict", "gone.pte", "SOUNDS"], "needs its card gone.json beside it"),
        (["predict", "MODEL", "SOUNDS", "--events"], "add --out FILE"),
        (["predict", "MODEL", "SOUNDS", "--out", "x.xlsx"], "a table ends in"),
        (["predict", "MODEL", "SOUNDS", "--out", "x.txt"], "a label track is of one sound, got 4"),
        (["predict", "MODEL", "SOUNDS", "--threshold", "2"], "must be scores from 0 to 1"),
        (["show", "MODEL", "SOUNDS/loud.wav"], "this needs the run itself, not an exported file"),
        (["predict", "MODEL", "notes.txt"], "got notes.txt, which is no sound file; give WAV"),
        (["predict", "MODEL", "log.csv"], "If it is a level log, name the run's folder"),
        (["listen", "MODEL", "--from", "stdin"], "add --rate"),
        (["listen", "MODEL", "--from", "stdin", "--rate", "16000"], "stdin must give samples, got none"),
        (["listen", "MODEL", "--from", "SOUNDS/steps.wav", "--hop", "0"], "hop must be at least one sample"),
        (["listen", "MODEL", "--from", "stdin", "--rate", "500"], "must be sampled at 1000 Hz or more, got 500 Hz"),
        (["listen", "MODEL", "--from", "SOUNDS/slow.wav"], "must be sampled at 1000 Hz or more, got 500 Hz"),
        (["listen", "MODEL", "--from", "SOUNDS/broken.wav"], "broken.wav"),
        (["listen", "MODEL", "--from", "SOUNDS/loud.wav", "--top", "0"], "top must be at least 1"),
    ],
)
def test_wrong_words_end_in_a_sentence(model: Path, sounds: Path, tmp_path: Path, words: list[str], said: str) -> None:
    (tmp_path / "cut.onnx").write_bytes(model.read_bytes()[:100])
    places = {"MODEL": str(model), "SOUNDS": str(sounds), "CUT": str(tmp_path / "cut.onnx")}
    typed = [places.get(word, word) for word in words]
    result = hearless(*(word.replace("SOUNDS/", f"{sounds}/") for word in typed), code=1)
    assert result.stderr.startswith("hearless: ")
    assert said in result.stderr.replace("\n", " ")


def test_a_model_of_levels_is_sent_to_its_run(tmp_path: Path, sounds: Path) -> None:
    onnx = pytest.importorskip("onnx")
    path = MADE["write"](tmp_path / "levels.onnx", CARD)
    model = onnx.load(str(path))
    model.graph.input[0].type.tensor_type.shape.dim.add().dim_param = "band"
    onnx.save(model, str(path))
    result = hearless("predict", path, sounds, code=1)
    assert "levels.onnx hears levels, no sound; predict with the run itself" in result.stderr
