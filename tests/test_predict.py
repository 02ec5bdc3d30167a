"""Files and folders, windows, broken files, tables, and the law that a long file costs no more memory."""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
import tracemalloc
import wave
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.special import expit, softmax

from hearless.interfaces import HearlessError
from hearless.predict import FilePrediction, Listener, files, predict, write_csv, write_json

RATE_HZ = 8000
EDGES_HZ = (0, 500, 1500, 4000)
LABELS = ("low", "mid", "high")


def band_logits(waveform, rate_hz):
    """Loudest band: the logits are the shares of the power of three bands, times ten."""
    power = np.abs(np.fft.rfft(waveform, axis=-1)) ** 2
    freqs_hz = np.fft.rfftfreq(waveform.shape[-1], 1 / rate_hz)
    shares = np.stack([power[:, (freqs_hz >= a) & (freqs_hz < b)].sum(-1) for a, b in pairwise(EDGES_HZ)], -1)
    return 10 * shares / (shares.sum(-1, keepdims=True) + 1e-12)


def listener(classify=band_logits, **changes):
    return Listener(**{"classify": classify, "labels": LABELS, "rate_hz": RATE_HZ, "window_s": 1.0, **changes})


class Recorder:
    """A listener that says nothing and remembers what it heard."""

    def __init__(self):
        self.heard = []

    def __call__(self, waveform, rate_hz):
        assert waveform.dtype == np.float32
        assert rate_hz == RATE_HZ
        self.heard += list(waveform)
        return np.zeros((len(waveform), len(LABELS)))


def tone(hz, seconds=1.0, rate_hz=RATE_HZ):
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)


def write(path, samples, rate_hz=RATE_HZ):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate_hz, subtype="FLOAT" if path.suffix == ".wav" else None)
    return path


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "field"
    write(root / "a" / "low.wav", tone(200))
    write(root / "b" / "mid.FLAC", tone(1000))
    write(root / "high.ogg", tone(3000, 2.5))
    stereo = np.stack([tone(3000), tone(3000)], -1)
    write(root / "stereo.wav", stereo)
    (root / "empty.wav").write_bytes(b"")
    (root / "text.wav").write_text("not a sound")
    (root / "notes.txt").write_text("read me")
    (root / "._low.wav").write_bytes(b"\0\5\26\7")
    whole = write(root / "whole.wav", tone(200, 3)).read_bytes()
    (root / "whole.wav").unlink()
    (root / "cut.wav").write_bytes(whole[: len(whole) // 2])
    return root


def test_files_finds_what_a_folder_holds_and_takes_what_is_named(folder, tmp_path):
    names = ["a/low.wav", "b/mid.FLAC", "cut.wav", "empty.wav", "high.ogg", "stereo.wav", "text.wav"]
    found = [folder / name for name in names]
    assert files(folder) == sorted(found)
    assert files([str(folder), folder / "a", folder / "a" / ".." / "a" / "low.wav"])[1:] == sorted(found)[1:]
    assert files([folder / "notes.txt", folder / "gone.wav"]) == [folder / "gone.wav", folder / "notes.txt"]
    assert files([]) == []


def test_good_files_are_predicted_and_broken_ones_listed(folder):
    seen = []
    results = list(
        predict(listener(), [folder, folder / "gone.wav"], on_progress=lambda *progress: seen.append(progress))
    )
    assert [r.path for r in results] == files([folder, folder / "gone.wav"])
    assert [(done, path) for done, _, path in seen] == list(enumerate((r.path for r in results), start=1))
    assert {total for _, total, _ in seen} == {8}
    good = {r.path.name: r for r in results if r.error is None}
    best = {name: next(iter(r.ranked())) for name, r in good.items()}
    assert best == {"low.wav": "low", "mid.FLAC": "mid", "high.ogg": "high", "stereo.wav": "high"}
    assert {name: r.seconds for name, r in good.items()} == {
        "low.wav": 1.0, "mid.FLAC": 1.0, "high.ogg": 2.5, "stereo.wav": 1.0,
    }  # fmt: skip
    broken = {r.path.name: r for r in results if r.error is not None}
    assert set(broken) == {"cut.wav", "empty.wav", "gone.wav", "text.wav"}
    for name, result in broken.items():
        assert name in result.error
        assert result.scores.shape == (0,)
        assert result.seconds == 0
    assert "truncated" in broken["cut.wav"].error
    assert "exist" in broken["gone.wav"].error


@pytest.mark.parametrize(
    ("samples", "min_window_s", "lengths"),
    [
        (3 * RATE_HZ, math.inf, [RATE_HZ] * 3),
        (3 * RATE_HZ + 1, math.inf, [RATE_HZ] * 4),
        (3 * RATE_HZ + 4000, 0.25, [RATE_HZ] * 3 + [4000]),
        (3 * RATE_HZ + 1999, 0.25, [RATE_HZ] * 4),
        (25 * RATE_HZ + 2000, 0.25, [RATE_HZ] * 25 + [2000]),
        (5, math.inf, [RATE_HZ]),
        (5, 0.0, [5]),
    ],
)
def test_each_sample_is_heard_once_and_the_tail_padded(tmp_path, samples, min_window_s, lengths):
    sound = np.random.default_rng(0).uniform(-1, 1, samples).astype(np.float32)
    recorder = Recorder()
    path = write(tmp_path / "noise.wav", sound)
    (result,) = predict(listener(recorder, min_window_s=min_window_s), path, batch=4)
    assert [len(window) for window in recorder.heard] == lengths
    joined = np.concatenate(recorder.heard)
    np.testing.assert_array_equal(joined[:samples], sound)
    assert not joined[samples:].any()
    assert result.seconds == samples / RATE_HZ


@pytest.mark.parametrize(("samples", "starts"), [(16000, 5), (16001, 6), (8000, 1), (8001, 2), (7999, 1)])
def test_overlapping_windows_start_every_hop_and_end_with_the_sound(tmp_path, samples, starts):
    sound = np.random.default_rng(1).uniform(-1, 1, samples).astype(np.float32)
    recorder = Recorder()
    path = write(tmp_path / "noise.wav", sound)
    (result,) = predict(listener(recorder), path, hop_s=0.25, windows=True)
    padded = np.pad(sound, (0, RATE_HZ))
    expected = [padded[2000 * k : 2000 * k + RATE_HZ] for k in range(starts)]
    np.testing.assert_array_equal(recorder.heard, expected)
    assert [w.start_s for w in result.windows] == [0.25 * k for k in range(starts)]
    assert [w.end_s for w in result.windows] == [min(0.25 * k + 1, samples / RATE_HZ) for k in range(starts)]


@pytest.mark.parametrize(("multi_label", "squash"), [(False, lambda x: softmax(x, axis=-1)), (True, expit)])
def test_scores_are_the_mean_of_the_windows_probabilities_each_by_its_length(tmp_path, multi_label, squash):
    sound = np.concatenate([tone(200, 2), tone(3000, 1), tone(1000, 0.5)])
    path = write(tmp_path / "three.wav", sound)
    (result,) = predict(listener(multi_label=multi_label), path, batch=2, windows=True)
    cut = np.pad(sound, (0, 4000)).astype(np.float32).reshape(4, RATE_HZ)
    expected = squash(band_logits(cut, RATE_HZ))
    np.testing.assert_allclose([w.scores for w in result.windows], expected, rtol=1e-5)
    np.testing.assert_allclose(result.scores, np.average(expected, axis=0, weights=[1, 1, 1, 0.5]), rtol=1e-5)


def test_the_batch_size_changes_nothing(tmp_path):
    path = write(tmp_path / "noise.wav", np.random.default_rng(2).uniform(-1, 1, 52345))
    one, many = (next(predict(listener(), path, batch=batch, hop_s=0.5)).scores for batch in (1, 16))
    np.testing.assert_allclose(one, many, rtol=1e-5)


def test_a_file_is_resampled_and_one_below_the_sensor_rate_refused(tmp_path):
    write(tmp_path / "high.wav", tone(3000, rate_hz=44100), 44100)
    write(tmp_path / "low.wav", tone(200, rate_hz=4000), 4000)
    high, low = predict(listener(minimum_rate_hz=RATE_HZ), tmp_path)
    assert next(iter(high.ranked())) == "high"
    assert "low.wav" in low.error
    assert "8000 Hz or more, got 4000 Hz; take the original" in low.error
    (heard,) = predict(listener(), tmp_path / "low.wav")
    assert next(iter(heard.ranked())) == "low"


def test_a_file_too_short_to_be_heard_is_an_error_and_a_short_rest_is_not(tmp_path):
    for n_samples in (10, 1999, 2000, RATE_HZ + 10):
        write(tmp_path / f"{n_samples:05d}.wav", np.full(n_samples, 0.1))
    recorder = Recorder()
    tiny, short, enough, long = predict(listener(recorder, least_s=0.25, min_window_s=0.25), tmp_path)
    assert tiny.error == (
        f"{tiny.path}: the listener needs at least 0.25 s of sound, got 0.00125 s; record longer, or leave it out."
    )
    assert "got 0.249875 s" in short.error
    assert (enough.error, long.error) == (None, None)
    assert [len(window) for window in recorder.heard] == [2000, RATE_HZ, RATE_HZ]


def test_what_the_listener_breaks_is_an_error_entry(tmp_path):
    path = write(tmp_path / "low.wav", tone(200))
    (short,) = predict(listener(lambda x, hz: np.zeros((len(x), 2))), path)
    assert "must return logits (1, 3), got (1, 2)" in short.error
    (nan,) = predict(listener(lambda x, hz: np.full((len(x), 3), np.nan)), path)
    assert "finite" in nan.error


def test_ctrl_c_is_no_broken_file(tmp_path):
    def interrupted(waveform, rate_hz):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(predict(listener(interrupted), write(tmp_path / "low.wav", tone(200))))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hop_s": 0.0}, "hop_s must be above 0 and at most the window of 1 s, got 0"),
        ({"hop_s": 1.5}, "hop_s .* got 1.5"),
        ({"top": 0}, "top must be at least 1, got 0"),
        ({"batch": 0}, "batch must be at least 1, got 0"),
    ],
)
def test_wrong_arguments_are_refused_at_once(tmp_path, changes, said):
    with pytest.raises(HearlessError, match=said):
        predict(listener(), tmp_path, **changes)


def test_nothing_to_hear_is_an_error(tmp_path):
    with pytest.raises(HearlessError, match=r"no sound file .*\.mp3\) in .*; name the files"):
        predict(listener(), tmp_path)


def test_what_is_none_of_the_classes_is_said(tmp_path):
    both = np.concatenate([tone(200), tone(200) + tone(1000)])
    path = write(tmp_path / "x.wav", both)
    (said,) = predict(listener(none_below=0.9), path, windows=True)
    assert [window.named for window in said.windows] == [("low",), ()]
    assert said.named == ()
    (sure,) = predict(listener(), path, windows=True)
    assert [len(window.named) for window in sure.windows] == [1, 1]
    (several,) = predict(listener(multi_label=True, thresholds=(0.9, 0.99, 0.1)), path)
    assert several.named == ("low", "high")
    write_csv([said, sure], tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="") as file:
        named = [(row["label"], row["named"]) for row in csv.DictReader(file)]
    assert named[0] == ("low", "1")
    assert [one for _, one in named[1:3]] == ["0", "0"]
    assert [one for _, one in named[3:6]] == ["0", "0", "0"]
    write_json([said], tmp_path / "out.json")
    (entry,) = json.loads((tmp_path / "out.json").read_text())
    assert (entry["named"], entry["windows"][0]["named"]) == ([], ["low"])


def test_top_ranks_and_cuts():
    scores = np.array([0.2, 0.5, 0.3], np.float32)
    whole = FilePrediction(Path("x.wav"), None, 1.0, scores, LABELS)
    assert list(whole.ranked()) == ["mid", "high", "low"]
    best = FilePrediction(Path("x.wav"), None, 1.0, scores, LABELS, top=1)
    assert best.ranked() == {"mid": 0.5}


def test_tables_read_back(folder, tmp_path):
    results = list(predict(listener(), folder, top=2))
    write_csv(results, tmp_path / "out.csv")
    write_json(results, tmp_path / "out.json")
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    entries = json.loads((tmp_path / "out.json").read_text())
    assert [entry["path"] for entry in entries] == [str(r.path) for r in results]
    for result, entry in zip(results, entries, strict=True):
        mine = [row for row in rows if row["path"] == str(result.path)]
        assert entry["error"] == result.error
        if result.error is not None:
            assert [(row["label"], row["score"], row["error"]) for row in mine] == [("", "", result.error)]
            continue
        assert entry["scores"] == result.ranked()
        assert [(row["label"], float(row["score"])) for row in mine] == list(result.ranked().items())
        assert {(float(row["start_s"]), float(row["end_s"])) for row in mine} == {(0.0, result.seconds)}
        assert len(mine) == 2
    assert not list(tmp_path.glob("*.partial"))


def test_tables_of_windows(tmp_path):
    path = write(tmp_path / "low,then high.wav", np.concatenate([tone(200), tone(3000, 0.5)]))
    results = list(predict(listener(), path, top=1, windows=True))
    write_csv(results, tmp_path / "out.csv")
    write_json(results, tmp_path / "out.json")
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = [(row["path"], row["start_s"], row["end_s"], row["label"]) for row in csv.DictReader(file)]
    assert rows == [(str(path), "0.0", "1.0", "low"), (str(path), "1.0", "1.5", "high")]
    (entry,) = json.loads((tmp_path / "out.json").read_text())
    assert [(w["start_s"], w["end_s"], list(w["scores"])) for w in entry["windows"]] == [
        (0.0, 1.0, ["low"]),
        (1.0, 1.5, ["high"]),
    ]


@pytest.mark.parametrize("writer", [write_csv, write_json])
def test_a_table_cut_short_is_readable_and_not_under_its_name(tmp_path, writer):
    scores = np.array([0.2, 0.5, 0.3], np.float32)
    out, partial = tmp_path / "out.table", tmp_path / "out.table.partial"

    def interrupted():
        for number in range(3):
            yield FilePrediction(Path(f"{number}.wav"), None, 1.0, scores, LABELS, top=1)
            text = partial.read_text()
            if writer is write_json:
                assert [entry["path"] for entry in json.loads(text)] == [f"{n}.wav" for n in range(number + 1)]
            else:
                assert [line.split(",")[0] for line in text.splitlines()[1:]] == [f"{n}.wav" for n in range(number + 1)]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        writer(interrupted(), out)
    assert not out.exists()
    assert "2.wav" in partial.read_text()


def test_an_empty_list_is_valid_json(tmp_path):
    write_json([], tmp_path / "out.json")
    assert json.loads((tmp_path / "out.json").read_text()) == []


def _silence(path, minutes):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        second = (1000 * np.sin(np.arange(RATE_HZ))).astype("<i2").tobytes()
        for _ in range(60 * minutes):
            file.writeframes(second)
    return path


def _peak_bytes(path, window_s):
    tracemalloc.start()
    try:
        (result,) = predict(listener(lambda x, hz: np.zeros((len(x), 3)), window_s=window_s), path)
        assert result.error is None
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("window_s", [0.5, 2.0, 10.0])
def test_a_long_file_costs_no_more_memory_than_a_short_one(tmp_path, window_s):
    short, long = _silence(tmp_path / "short.wav", 1), _silence(tmp_path / "long.wav", 60)
    _peak_bytes(short, window_s)
    ratio = _peak_bytes(long, window_s) / _peak_bytes(short, window_s)
    assert ratio <= 1.2, ratio


def test_no_torch_is_imported():
    code = "import sys, hearless.predict; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
