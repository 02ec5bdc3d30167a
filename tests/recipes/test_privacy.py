"""The privacy study on a few tones "spoken" by six voices: what is trained, what is chosen, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from hearless import door
from hearless.interfaces import HearlessError
from hearless.lab import Lab
from hearless.objectives.transcoding import Transcoding
from hearless.privacy import intelligibility
from hearless.recipes.low_rate import _speech, bandwidth_extended, from_levels, full_band, privacy
from hearless.recipes.low_rate.settings import Settings
from hearless.report import Report, Row
from hearless.spec import spec
from hearless.statistics import Measure
from hearless.study import Question
from hearless.teachers import Trained

pytestmark = pytest.mark.usefixtures("cached")

RATE_HZ = 8000
TINY = {"epochs": "1", "batch_size": "8", "clip_s": "0.5", "word_folds": "2"}


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a table of two words, three times each by six voices, half a second long."""
    root = tmp_path_factory.mktemp("spoken")
    time_s = np.arange(RATE_HZ // 2) / RATE_HZ
    rows = ["filename,fold,category,speaker"]
    for voice in range(6):
        for word, hz in (("low", 200), ("high", 400)):
            for n in range(3):
                sound = 0.3 * np.sin(2 * np.pi * (hz + 9 * voice) * time_s + n)
                soundfile.write(root / f"{word}{voice}{n}.wav", sound, RATE_HZ)
                rows.append(f"{word}{voice}{n}.wav,{'test' if n else 'train'},{word},v{voice}")
    (root / "meta.csv").write_text("\n".join(rows) + "\n")
    return root / "meta.csv"


@pytest.fixture
def settings(tiny: Path) -> Settings:
    data, _ = door.dataset(labels=tiny / "meta.csv")
    made: Settings = door.settings("low_rate", data, backbone="mn02", epochs=6)
    return made


def babble(seconds: float, seed: int) -> np.ndarray:
    """Return noise that comes and goes like syllables, at 16 kHz."""
    rng, n = np.random.default_rng(seed), round(16000 * seconds)
    return 0.1 * rng.standard_normal(n) * (1 + np.sin(2 * np.pi * 4 * np.arange(n) / 16000))


# --- attackers --------------------------------------------------------------------------------------------------------


def test_an_extension_is_first_taught_the_full_bands(settings: Settings) -> None:
    made = bandwidth_extended.recipe(settings, 1000, top_rate_hz=8000)
    first, second = made.stages
    assert (first.objectives, first.trains, first.epochs) == (
        (spec(Transcoding, logits=0.0, features=1.0),), ("enhancer",), 2
    )  # fmt: skip
    assert {"enhancer", "classifier"} <= set(second.trains)
    assert second.epochs == 6
    assert made.teacher == made.initial == Trained(full_band.recipe(settings, 8000))
    pipeline, full = made.student.build(3).eval(), settings.view(8000).build(3).eval()
    sound = torch.randn(2, 8000, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours = pipeline(pipeline.observe(sound, 8000)).features
        theirs = full.features(full.observe(sound, 8000))
    assert ours is not None
    assert ours.shape == theirs.shape == (2, 1, 80, 100)
    with pytest.raises(HearlessError, match="rate must be below that of the full sound, 8000 Hz, got 8000"):
        bandwidth_extended.recipe(settings, 8000, top_rate_hz=8000)


def test_levels_are_read_straight_or_through_a_taught_transcoder(settings: Settings) -> None:
    straight, extended = (from_levels.recipe(settings, extended=one, top_rate_hz=8000) for one in (False, True))
    assert straight.student.enhancer is not None
    assert extended.student.enhancer is not None
    assert (straight.student.enhancer.name, straight.teacher) == ("PINVTranscoder", None)
    assert (extended.student.enhancer.name, len(extended.stages)) == ("LightTranscoder", 2)
    other = replace(settings, backbone=replace(settings.backbone, frontend=spec_of("LogMel")))
    with pytest.raises(HearlessError, match="must hear mn04's Mel features, got 'mn02'"):
        from_levels.recipe(other)


def spec_of(name: str) -> object:
    from hearless.spec import Spec

    return Spec("frontends", name, {})


def test_attackers_of_words_and_speakers(spoken: Path, tmp_path: Path) -> None:
    report = door.study(
        "low_rate/privacy", labels=spoken, lab=Lab(tmp_path / "runs", spoken.parent), rates=(16000, 1000), folds=("1",),
        place=tmp_path / "out", backbones=("mn02",), **TINY,
    )  # fmt: skip
    assert [row.label for row in report.rows] == ["1 kHz", "levels, fast"]
    assert "do not hold it: 16 kHz" in " ".join(report.notes)
    for row in report.rows:
        assert not row.hole
        for kind in ("words", "speakers"):
            both = [row.metrics[f"{kind}_{way}"] for way in ("straight", "extended")]
            assert row.metrics[kind] in both
            assert row.metrics[kind].value == max(one.value for one in both)
    assert report.columns == ("words", "speakers")
    assert "50 % by chance (words), 17 % by chance (speakers)" in " ".join(report.notes)
    words, speakers = (Report.load(tmp_path / "out" / name) for name in ("words", "speakers"))
    assert set(words.rows[0].per_class) == {"low", "high"}
    assert len(speakers.rows[0].per_class) == 6
    assert len(report.tests) == 4
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == {"words.png", "speakers.png"}
    sides = [json.loads(path.read_text()) for path in (tmp_path / "runs").glob("*/fold1-seed0/clips.json")]
    disjoint = [not {*side["training"], *side["validation"]} & {*side["test"]} for side in sides]
    assert len(disjoint) == 12
    assert all(disjoint)


def test_the_best_attacker_is_the_rows(tmp_path: Path) -> None:
    def attack(**values: float) -> Report:
        rows = tuple(
            Row(f"{way}", {"sensor": "1 kHz", "attacker": way}, {"accuracy": Measure(value, value - 0.1, value + 0.1)})
            for way, value in values.items()
        )
        return Report("t", "", ("accuracy",), rows)

    row = privacy._sensor(1000, {"wer": Measure(0.94)}, [attack(straight=0.5, extended=0.7), attack(straight=0.9)])
    assert row.metrics["words"] == Measure(0.7, 0.7 - 0.1, 0.7 + 0.1)
    assert row.metrics["speakers"].value == 0.9
    assert row.condition["best attacker"] == "words: extended; speakers: straight"
    assert row.published == {"wer": 0.965}


# --- recorded speech --------------------------------------------------------------------------------------------------


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    folder = tmp_path / "speech"
    (folder / "audio").mkdir(parents=True)
    for n in range(2):
        soundfile.write(folder / "audio" / f"{n}.wav", babble(1.0, n), 16000)
    (folder / "meta.csv").write_text("filename,speaker,transcript\n0.wav,a,THE FIRST\n1.wav,b,\n")
    return folder


def test_recorded_speech_is_heard_through_each_sensor(recorded: Path, tmp_path: Path) -> None:
    for module in ("pystoi", "pocketsphinx", "jiwer"):
        pytest.importorskip(module)
    lab = Lab(tmp_path / "runs", recorded)

    def asked() -> Report:
        place = tmp_path / "out"
        return privacy.analyse(lab, Question(rates=(16000, 1000), place=place, words={"speech": str(recorded)}))

    report = asked()
    found = {row.label: row.metrics for row in report.rows}
    assert list(found) == ["16 kHz", "1 kHz", "levels, fast"]
    assert found["16 kHz"]["stoi"].value > 0.99
    assert found["16 kHz"]["estoi"].value > found["1 kHz"]["estoi"].value
    by_hand = [
        intelligibility(sound, _speech.played(sound, 1000), 16000).stoi
        for sound in (soundfile.read(recorded / "audio" / f"{n}.wav", dtype="float32")[0] for n in range(2))
    ]
    assert found["1 kHz"]["stoi"].value == pytest.approx(np.mean(by_hand), abs=1e-6)
    assert report.rows[1].published == {"wer": 0.965}
    assert "2 recordings of 2 speakers, 1 with a transcript" in report.task
    kept = sorted((tmp_path / "runs" / "speech").iterdir())
    assert len(kept) == 6
    before = [path.stat().st_mtime_ns for path in kept]
    assert asked().rows == report.rows
    assert [path.stat().st_mtime_ns for path in kept] == before


@pytest.mark.parametrize("capture", [16000, 500, "fast"])
def test_what_is_played_is_sixteen_bits_at_its_own_length(capture: int | str) -> None:
    sound = babble(0.61, 3).astype(np.float32)
    heard = _speech.played(sound, capture)
    assert heard.shape == sound.shape
    assert np.array_equal(heard * 32768, np.round(heard * 32768))
    if capture == 16000:
        assert np.abs(heard - sound).max() <= 0.5 / 32768 + 1e-7


def test_a_slow_sensor_plays_nothing_above_its_nyquist() -> None:
    spectrum = np.abs(np.fft.rfft(_speech.played(babble(2.0, 4), 1000)))
    hz = np.fft.rfftfreq(32000, 1 / 16000)
    assert spectrum[hz > 510].max() < 1e-2 * spectrum[hz < 400].max()


# --- wrong input ------------------------------------------------------------------------------------------------------


def test_wrong_input(spoken: Path, tiny: Path, tmp_path: Path, make_question: Callable[..., Question]) -> None:
    lab = Lab(tmp_path, spoken.parent)
    folders = tiny / "folders"
    with pytest.raises(HearlessError, match="privacy needs speech: --set speech=DIR"):
        privacy.analyse(lab, make_question())
    with pytest.raises(HearlessError, match=r"meta\.csv"):
        privacy.analyse(lab, make_question(speech=str(tmp_path)))
    (tmp_path / "meta.csv").write_text("filename,transcript\ngone.wav,HELLO\n")
    with pytest.raises(HearlessError, match=r"no such file \(.*gone\.wav\)"):
        privacy.analyse(lab, make_question(speech=str(tmp_path)))
    (tmp_path / "meta.csv").write_text("sound,transcript\ngone.wav,HELLO\n")
    with pytest.raises(HearlessError, match="must have a column path or filename, got sound, transcript"):
        privacy.analyse(lab, make_question(speech=str(tmp_path)))
    with pytest.raises(HearlessError, match=r"levels: interval must be"):
        privacy.analyse(lab, make_question(speech=str(spoken.parent), levels="never"))
    with pytest.raises(HearlessError, match="name it with --labels"):
        door.study("low_rate/privacy", runs=tmp_path, root=folders, place=tmp_path)
    with pytest.raises(HearlessError, match="voice"):
        door.study("low_rate/privacy", lab=lab, labels=spoken, place=tmp_path, speakers="voice")


@pytest.fixture
def make_question(tmp_path: Path) -> Callable[..., Question]:
    return lambda **words: Question(place=tmp_path / "out", words=words)
