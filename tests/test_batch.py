"""Tables of many files: after a kill they are those of an unbroken call, and a broken file costs itself alone."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
import soundfile

from hearless import batch, predict
from hearless.batch import Wanted, write
from hearless.interfaces import HearlessError
from hearless.predict import Listener

RATE_HZ = 1000
LABELS = ("loud", "soft")
EVENTS = Wanted(events=True, hop_s=0.5)


class Heard:
    """Classifies by the mean square, and counts what it heard."""

    def __init__(self, wait_s: float = 0.0) -> None:
        self.n, self.wait_s = 0, wait_s

    def __call__(self, waveform: np.ndarray, rate_hz: int) -> np.ndarray:
        self.n += 1
        time.sleep(self.wait_s)
        power = 40 * (waveform**2).mean(-1)
        return np.stack([power - 2, 2 - power], -1)


def listener(heard: Heard | None = None, **more: object) -> Listener:
    return Listener(heard or Heard(), LABELS, RATE_HZ, 1.0, none_below=0.6, **more)


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """Return a folder of twelve sounds that are loud from second 1 to 2 and a broken one."""
    folder = tmp_path / "sounds"
    folder.mkdir()
    for number in range(12):
        samples = np.full(3000, 0.01 * number)
        samples[1000:2000] = 0.5
        soundfile.write(folder / f"{number:02}.wav", samples, RATE_HZ)
    (folder / "05b.wav").write_bytes(b"RIFF, but no sound")
    return folder


def test_a_table_of_clips_is_that_of_predict(sounds: Path, tmp_path: Path) -> None:
    for wanted in (Wanted(top=1), Wanted(windows=True, hop_s=0.5)):
        out = tmp_path / f"{wanted.windows}.csv"
        written = write(listener(), sounds, out, wanted)
        said = predict.predict(listener(), sounds, top=wanted.top, windows=wanted.windows, hop_s=wanted.hop_s)
        predict.write_csv(said, tmp_path / "other.csv")
        assert out.read_bytes() == (tmp_path / "other.csv").read_bytes()
        assert (written.n_files, written.n_heard) == (13, 13)
        ((broken, error),) = written.broken
        assert broken == str(sounds / "05b.wav")
        assert "05b.wav" in error


def test_a_table_of_events_says_from_when_to_when(sounds: Path, tmp_path: Path) -> None:
    write(listener(), [sounds / "00.wav", sounds / "05b.wav"], tmp_path / "x.csv", EVENTS)
    with (tmp_path / "x.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    times = [(row["start_s"], row["end_s"], row["label"]) for row in rows]
    assert times == [("0.0", "1.0", "soft"), ("0.5", "2.5", "loud"), ("2.0", "3.0", "soft"), ("", "", "")]
    assert [bool(row["error"]) for row in rows] == [False, False, False, True]
    longer = write(listener(), sounds / "00.wav", tmp_path / "y.csv", replace(EVENTS, shortest_s=1.5))
    assert longer.path.read_text().count("\n") == 2


def test_other_formats_hold_the_same_events(sounds: Path, tmp_path: Path) -> None:
    write(listener(), sounds, tmp_path / "x.csv", EVENTS)
    with (tmp_path / "x.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if not row["error"]]
    write(listener(), sounds, tmp_path / "x.parquet", EVENTS)
    table = pyarrow.parquet.read_table(tmp_path / "x.parquet").to_pylist()
    assert [row["start_s"] for row in table if not row["error"]] == [float(row["start_s"]) for row in rows]
    write(listener(), sounds, tmp_path / "x.selections.txt", EVENTS)
    raven = list(csv.DictReader(io.StringIO((tmp_path / "x.selections.txt").read_text()), delimiter="\t"))
    assert [row["File Offset (s)"] for row in raven] == [f"{float(row['start_s']):.6f}" for row in rows]
    last = raven[-1]
    assert float(last["Begin Time (s)"]) == pytest.approx(11 * 3 + float(last["File Offset (s)"]))
    write(listener(), sounds / "00.wav", tmp_path / "x.txt", EVENTS)
    assert (tmp_path / "x.txt").read_text().splitlines()[1].startswith("0.500000\t2.500000\tloud ")


SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
import test_batch
from hearless.batch import write
write(test_batch.listener(test_batch.Heard(0.1)), {sounds!r}, {out!r}, test_batch.EVENTS, name="m")
"""


def test_killed_it_goes_on_to_the_same_bytes(sounds: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.csv"
    script = SCRIPT.format(tests=str(Path(__file__).parent), sounds=str(sounds), out=str(out))
    killed = subprocess.Popen([sys.executable, "-c", script])
    journal = tmp_path / "x.csv.journal.jsonl"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (journal.is_file() and journal.read_bytes().count(b"\n") >= 4):
        time.sleep(0.02)
    os.kill(killed.pid, signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert not out.exists()
    known = journal.read_bytes().count(b"\n") - 1
    assert 3 <= known < 13
    with journal.open("ab") as file:
        file.write(b'{"path": "torn')
    written = write(listener(), sounds, out, EVENTS, name="m")
    assert written.n_heard == 13 - known
    whole = write(listener(), sounds, tmp_path / "whole.csv", EVENTS, name="m")
    assert out.read_bytes() == whole.path.read_bytes()
    assert written.broken == whole.broken
    assert [json.loads(line)["path"] for line in journal.read_text().splitlines()[1:]] == [
        str(path) for path in predict.files(sounds)
    ]


def test_two_calls_do_not_write_one_table(sounds: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    said = list[str]()

    def meanwhile(done: int, total: int, path: object) -> None:
        with pytest.raises(
            HearlessError, match=r"out\.csv must be written by one call at a time, another one is at it"
        ):
            write(listener(), sounds, out)
        write(listener(), sounds, tmp_path / f"other{done}.csv")
        said.append(str(path))

    write(listener(), sounds, out, on_progress=meanwhile)
    assert len(said) == 13
    assert out.read_bytes() == (tmp_path / "other1.csv").read_bytes()
    write(listener(), sounds, out)
    assert not list(tmp_path.glob("*.lock"))


@pytest.mark.parametrize("kept", [0, 1, 40, 0.3, 0.6, 0.999])
def test_cut_anywhere_the_journal_is_gone_on_with(sounds: Path, tmp_path: Path, kept: float) -> None:
    out, journal = tmp_path / "x.csv", tmp_path / "x.csv.journal.jsonl"
    whole = write(listener(), sounds, out, EVENTS).path.read_bytes()
    content = journal.read_bytes()
    journal.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    out.unlink()
    assert write(listener(), sounds, out, EVENTS).path.read_bytes() == whole
    assert journal.read_bytes() == content


def test_only_new_and_changed_files_are_heard(sounds: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.csv"
    before = write(listener(), sounds, out).path.read_bytes()
    heard = Heard()
    assert write(listener(heard), sounds, out).n_heard == 0
    assert (heard.n, out.read_bytes()) == (0, before)
    soundfile.write(sounds / "03.wav", np.full(1000, 0.9), RATE_HZ)
    (sounds / "04.wav").unlink()
    soundfile.write(sounds / "20.wav", np.full(1000, 0.9), RATE_HZ)
    written = write(listener(heard), sounds, out)
    assert (written.n_files, written.n_heard) == (13, 2)
    assert write(listener(), sounds, tmp_path / "y.csv").path.read_bytes() == out.read_bytes()
    missing = write(listener(), [sounds, tmp_path / "gone.wav"], out)
    assert [Path(path).name for path, _ in missing.broken] == ["gone.wav", "05b.wav"]
    soundfile.write(tmp_path / "gone.wav", np.full(1000, 0.9), RATE_HZ)
    assert len(write(listener(), [sounds, tmp_path / "gone.wav"], out).broken) == 1


def test_whatever_goes_wrong_with_a_file_costs_that_file_alone(sounds: Path, tmp_path: Path) -> None:
    def breaking(waveform: np.ndarray, rate_hz: int) -> np.ndarray:
        if waveform[0, 0] > 0.1:
            raise ArithmeticError("a runtime's own kind")
        return np.zeros((len(waveform), 2))

    written = write(replace(listener(), classify=breaking), sounds, tmp_path / "x.csv")
    names = [Path(path).name for path, _ in written.broken]
    assert names == ["05b.wav", "11.wav"]
    assert "11.wav: ArithmeticError: a runtime's own kind" in written.broken[1][1]


def test_another_model_or_other_options_are_refused(sounds: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.csv"
    write(listener(), sounds, out, name="one")
    with pytest.raises(HearlessError, match=r'begun with another model \("one"; now "two"\)'):
        write(listener(), sounds, out, name="two")
    with pytest.raises(HearlessError, match="begun with another options"):
        write(listener(), sounds, out, EVENTS, name="one")
    with pytest.raises(HearlessError, match=r"begun with another rule .* delete"):
        write(replace(listener(), none_below=0.7), sounds, out, name="one")


@pytest.mark.parametrize(
    ("name", "wanted", "said"),
    [
        ("x.selections.txt", Wanted(), "raven shows events"),
        ("x.txt", EVENTS, "a label track is of one sound, got 13"),
        ("x.xlsx", EVENTS, "a table ends in"),
        ("x.csv", Wanted(events=True, join_s=-1), "join must be 0 s or more"),
        ("x.csv", Wanted(hop_s=9), "hop_s must be above 0 and at most the window"),
    ],
)
def test_wrong_options_are_refused(sounds: Path, tmp_path: Path, name: str, wanted: Wanted, said: str) -> None:
    with pytest.raises(HearlessError, match=said):
        write(listener(), sounds, tmp_path / name, wanted)
    assert not (tmp_path / name).exists()


def test_nothing_to_hear_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(HearlessError, match="no sound file"):
        write(listener(), tmp_path / "empty", tmp_path / "x.csv")


def test_no_torch_is_imported() -> None:
    code = "import sys, hearless.batch, hearless.listen; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_columns_are_those_of_predict() -> None:
    assert batch.CLIP_COLUMNS == predict.COLUMNS
    assert set(batch.EVENT_COLUMNS) | set(batch.CLIP_COLUMNS) == set(batch.TYPES)
