"""Intelligibility and word errors: laws, an edit distance of our own, and six real clips."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hearless.captures.low_rate import LowRate
from hearless.dsp.resample import resample
from hearless.interfaces import HearlessError
from hearless.privacy import (
    PAPER_HUMAN_WER,
    StockRecogniser,
    intelligibility,
    normalised,
    word_error_rate,
    word_errors,
)
from hearless.statistics import interval

RATE_HZ = 16000


def babble(seconds: float = 2.0, seed: int = 0) -> np.ndarray:
    """Noise that comes and goes four times a second, as syllables do."""
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return 0.1 * np.random.default_rng(seed).standard_normal(len(time_s)) * (1.05 + np.sin(8 * np.pi * time_s))


def edits(one: list[str], other: list[str]) -> int:
    """The fewest changes from one list of words to another, row by row."""
    row = list(range(len(other) + 1))
    for i, word in enumerate(one, start=1):
        above, row = row, [i]
        for j, its in enumerate(other, start=1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (word != its)))
    return row[-1]


def test_clean_is_one_at_any_level_and_nothing_is_zero() -> None:
    clean = babble()
    for heard in (clean, 0.01 * clean):
        scores = intelligibility(clean, heard, RATE_HZ)
        assert (scores.stoi, scores.estoi) == (pytest.approx(1.0, abs=1e-6), pytest.approx(1.0, abs=1e-6))
    nothing = intelligibility(clean, np.zeros_like(clean), RATE_HZ)
    assert (nothing.stoi, nothing.estoi) == (0.0, 0.0)


def test_more_noise_is_less_to_be_made_out() -> None:
    clean, noise = babble(), 0.1 * np.random.default_rng(1).standard_normal(2 * RATE_HZ)
    scores = [intelligibility(clean, clean + gain * noise, RATE_HZ) for gain in (0.1, 1.0, 10.0)]
    for name in ("stoi", "estoi"):
        values = [getattr(score, name) for score in scores]
        assert values == sorted(values, reverse=True)
        assert values[0] > 0.9 > 0.5 > values[-1]


def test_pauses_are_those_of_the_clean_speech() -> None:
    clean = babble(3.0)
    clean[RATE_HZ : 2 * RATE_HZ] = 0
    filled = clean.copy()
    filled[RATE_HZ + 800 : 2 * RATE_HZ - 800] = babble(1.0, seed=1)[800:-800]
    assert intelligibility(clean, filled, RATE_HZ).stoi > 0.99  # noise where nobody spoke costs nothing
    assert intelligibility(filled, clean, RATE_HZ).stoi < 0.8  # words lost cost


def test_the_global_generator_is_left_alone() -> None:
    clean = babble()
    gated = clean * (np.arange(len(clean)) < RATE_HZ)  # half of it exactly zero: pystoi's own noise shows
    np.random.seed(3)  # noqa: NPY002 (what a caller may have done)
    expected = np.random.standard_normal(2)  # noqa: NPY002
    scores = []
    for seed in (3, 4):
        np.random.seed(seed)  # noqa: NPY002
        scores.append(intelligibility(clean, gated, RATE_HZ))
    np.random.seed(3)  # noqa: NPY002
    intelligibility(clean, gated, RATE_HZ)
    assert scores[0] == scores[1]
    assert np.array_equal(np.random.standard_normal(2), expected)  # noqa: NPY002


@pytest.mark.parametrize(
    ("clean", "heard", "said"),
    [
        (babble(), babble()[1:], "of one length, got 32000 and 31999"),
        (np.zeros(32000), babble(), "clean must hold speech, got silence"),
        (babble(0.2), babble(0.2), r"about 0.4 s of speech .* got 0.20 s in all"),
        (babble()[None], babble(), r"clean must be finite samples \[time\].*\(1, 32000\)"),
        (babble(), babble() * np.inf, "heard must be finite"),
        (np.zeros(0), np.zeros(0), "not empty"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value encountered in multiply")
def test_what_has_no_intelligibility(clean: np.ndarray, heard: np.ndarray, said: str) -> None:
    with pytest.raises(HearlessError, match=said):
        intelligibility(clean, heard, RATE_HZ)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("THERE'S IRON, they say;", "there's iron they say"),
        ("  There’s—a   well-known\tway/road ", "there's a well known way road"),
        ("'tis 4 o'clock.", "tis four o'clock"),
        ("naïve CAFÉ…", "naïve café"),
        ("?!", ""),
    ],
)
def test_words_as_they_are_compared(text: str, words: str) -> None:
    assert normalised(text) == words
    assert normalised(words) == words


@pytest.mark.parametrize("text", ["in 1815", "the 3rd of", "mp3", "٣"])
def test_numbers_are_to_be_spelt(text: str) -> None:
    with pytest.raises(HearlessError, match=r"spell numbers in words, got .*write them as they were spoken"):
        normalised(text)


WORDS = st.lists(st.sampled_from("abcd"), max_size=8)


@given(st.lists(st.tuples(WORDS.filter(bool), WORDS), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_errors_are_the_edit_distance_of_each_clip(pairs: list[tuple[list[str], list[str]]]) -> None:
    counts = word_errors([" ".join(said) for said, _ in pairs], [" ".join(heard) for _, heard in pairs])
    assert counts.errors.tolist() == [edits(said, heard) for said, heard in pairs]
    assert counts.words.tolist() == [len(said) for said, _ in pairs]
    assert counts.rate == pytest.approx(counts.errors.sum() / counts.words.sum())


def test_the_rate_is_of_words_not_of_clips_and_has_an_interval() -> None:
    counts = word_errors(["One two three, FOUR!", "five", "six"], ["one two three", "nine five", ""])
    assert (counts.errors.tolist(), counts.words.tolist()) == ([1, 1, 1], [4, 1, 1])
    assert counts.rate == word_error_rate(counts.words, counts.errors) == 0.5
    measure = interval(word_error_rate, counts.words, counts.errors[:, None], ["a", "b", "c"])
    assert measure.value == 0.5
    assert measure.low < 0.5 < measure.high
    assert (measure.low, measure.high) == (pytest.approx(0.25), pytest.approx(1.0))


@pytest.mark.parametrize(
    ("references", "hypotheses", "said"),
    [
        ([], [], "of the same clips, got 0 and 0"),
        (["a"], ["a", "b"], "got 1 and 2"),
        (["a", "…"], ["a", "b"], "must hold words, clip 1 has none"),
        (["a"], ["42"], "spell numbers in words, got '42'"),
    ],
)
def test_texts_that_cannot_be_compared(references: list[str], hypotheses: list[str], said: str) -> None:
    with pytest.raises(HearlessError, match=said):
        word_errors(references, hypotheses)


def test_a_recogniser_is_refused_what_is_no_sound() -> None:
    with pytest.raises(HearlessError, match="max_active must be 1 or more, got 0"):
        StockRecogniser(max_active=0)
    with pytest.raises(HearlessError, match="waveform must be finite samples"):
        StockRecogniser().recognise(np.array([0.0, np.nan]), RATE_HZ)
    with pytest.raises(HearlessError, match="rate_hz must be the samples' rate in Hz, got 0"):
        StockRecogniser().recognise(babble(), 0)


@pytest.mark.parametrize("package", ["pystoi", "jiwer", "pocketsphinx"])
def test_a_missing_package_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    ask = {
        "pystoi": lambda: intelligibility(babble(), babble(), RATE_HZ),
        "jiwer": lambda: word_errors(["a"], ["a"]),
        "pocketsphinx": lambda: StockRecogniser().recognise(babble(), RATE_HZ),
    }
    with pytest.raises(HearlessError, match=rf"needs {package}; run: pip install 'hearless\[privacy\]'"):
        ask[package]()


def test_silence_has_no_words() -> None:
    assert StockRecogniser(max_active=1000).recognise(np.zeros(8000), 8000) == ""


@pytest.mark.data
def test_the_papers_listeners_as_they_were_copied(shared: Path) -> None:
    with (shared / "papers" / "tables" / "000_table3_power_privacy.csv").open() as file:
        copied = {int(row["sampling_rate_hz"]): float(row["wer_percent"]) / 100 for row in csv.DictReader(file)}
    assert pytest.approx(copied) == PAPER_HUMAN_WER


Spoken = list[tuple[str, str, np.ndarray]]


@pytest.fixture(scope="module")
def spoken(shared: Path) -> Spoken:
    """Return speaker, transcript and samples of the six clips that have a transcript."""
    folder = shared / "data" / "librispeech_clips_16k"
    with (folder / "meta.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["transcript"]]
    return [
        (row["speaker"], row["transcript"], soundfile.read(folder / "audio" / row["filename"], dtype="float32")[0])
        for row in rows
    ]  # fmt: skip


def kept(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """Return what a sensor at a low rate keeps, back at 16 kHz."""
    observation = LowRate(rate_hz=rate_hz)(torch.from_numpy(samples)[None], RATE_HZ)
    return resample(observation, rate_hz, RATE_HZ)[0, : len(samples)].numpy()


@pytest.mark.data
@pytest.mark.parametrize(
    ("rate_hz", "stoi", "estoi"), [(4000, 0.90, 0.74), (2000, 0.83, 0.55), (1000, 0.71, 0.31)]
)  # fmt: skip
def test_stoi_of_real_speech_at_low_rates(spoken: Spoken, rate_hz: int, stoi: float, estoi: float) -> None:
    assert sum(len(normalised(text).split()) for _, text, _ in spoken) == 126
    scores = [intelligibility(samples, kept(samples, rate_hz), RATE_HZ) for _, _, samples in spoken]
    assert np.mean([score.stoi for score in scores]) == pytest.approx(stoi, abs=0.02)
    assert np.mean([score.estoi for score in scores]) == pytest.approx(estoi, abs=0.02)


@pytest.mark.data
@pytest.mark.parametrize(("rate_hz", "max_active", "rate"), [(16000, 3000, 0.31), (1000, 1000, 0.94)])
def test_stock_errors_on_real_speech(spoken: Spoken, rate_hz: int, max_active: int, rate: float) -> None:
    recogniser = StockRecogniser(max_active=max_active)  # what keeps this within 10 s of a core
    heard = [recogniser.recognise(kept(samples, rate_hz), RATE_HZ) for _, _, samples in spoken]
    assert recogniser.recognise(kept(spoken[3][2], rate_hz), RATE_HZ) == heard[3]  # nothing of other clips is left
    counts = word_errors([text for _, text, _ in spoken], heard)
    assert counts.rate == pytest.approx(rate, abs=0.05)
    measure = interval(word_error_rate, counts.words, counts.errors[:, None], list(range(6)))
    assert rate - 0.1 < measure.low < counts.rate < measure.high < rate + 0.1
