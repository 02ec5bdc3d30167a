"""How much speech a sensor lets through: STOI and ESTOI, and the word errors of people and of a stock recogniser.

People: paper 000, Table 3 (ten listeners, three LibriSpeech clips a rate); nobody listened here.  Machines: STOI
(Taal et al., 2011) and ESTOI (Jensen & Taal, 2016) by pystoi; pocketsphinx, which ships a model of US English and needs
no network; errors scored by jiwer.  All three come with ``pip install 'hearless[privacy]'``.

None of these proves privacy:

* **The recogniser is not prepared.**  Its model knows full-band speech and fails on less; one trained on what the
  sensor keeps does better.  A stock error rate is an upper bound of what an attacker gets wrong, never a lower one.
* **STOI flatters a narrow band.**  It levels each third octave before it compares, so what a resampler leaves 100 dB
  below the speech counts as much as the speech.  On six LibriSpeech clips at 4, 2 and 1 kHz it is .90, .83 and .70 of
  float samples, but .89, .81 and .67 once they are rounded to 16 bits (ESTOI .74, .55, .31 against .63, .45, .27),
  while people miss 56 % of the words at 2 kHz and 97 % at 1 kHz.

Rates of error are fractions and may exceed 1.  Their interval resamples clips, or speakers, with what exists:
``statistics.interval(word_error_rate, counts.words, counts.errors[:, None], groups)``.
"""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from hearless.interfaces import HearlessError

Array = NDArray[Any]

PAPER_HUMAN_WER = {16000: 0.054, 2000: 0.556, 1000: 0.965}
"""Paper 000, Table 3: word error rate of people by sampling rate in Hz.  What each listener wrote is not published."""

RECOGNISER_RATE_HZ = 16000
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True, slots=True)
class Intelligibility:
    """STOI and ESTOI, about 0 (nothing to be made out) to 1 (as clear as the clean speech)."""

    stoi: float
    estoi: float


def intelligibility(clean: Array, heard: Array, rate_hz: int) -> Intelligibility:
    """Return STOI and ESTOI of what was heard, given the clean speech.

    Args:
        clean: ``[time]`` at ``rate_hz``.
        heard: ``[time]``, the same length and rate: bring what a slow sensor kept back to it, without a delay.
        rate_hz: of both; pystoi brings them to 10 kHz.

    Returns:
        Zeros where nothing at all was heard.

    Raises:
        HearlessError: arrays that do not match or are no speech: silent, or with less than about 0.4 s of it.
    """
    clean, heard = _waveform("clean", clean, rate_hz), _waveform("heard", heard, rate_hz)
    if clean.shape != heard.shape:
        raise HearlessError(
            f"clean and heard must be of one length, got {len(clean)} and {len(heard)} samples; bring both to one rate."
        )
    if not clean.any():
        raise HearlessError("clean must hold speech, got silence; leave such clips out.")
    if not heard.any():
        return Intelligibility(0.0, 0.0)
    return Intelligibility(*(_stoi(clean, heard, rate_hz, extended=extended) for extended in (False, True)))


def _stoi(clean: Array, heard: Array, rate_hz: int, *, extended: bool) -> float:
    """Call pystoi, whose ESTOI adds tiny noise from NumPy's global generator: seeded here and left as it was."""
    pystoi = _extra("pystoi")
    state = np.random.get_state()  # noqa: NPY002 (the one that pystoi draws from)
    try:
        np.random.seed(0)  # noqa: NPY002
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            return float(pystoi.stoi(clean, heard, rate_hz, extended=extended))
    except RuntimeWarning as warning:
        raise HearlessError(
            f"STOI needs about 0.4 s of speech within 40 dB of the loudest, got {len(clean) / rate_hz:.2f} s in all "
            f"({warning}); give a longer excerpt."
        ) from warning
    finally:
        np.random.set_state(state)  # noqa: NPY002


def normalised(text: str) -> str:
    """Return the words of a text as they are compared: lower case, parted by single blanks.

    Hyphens, dashes and slashes part words; apostrophes stay inside words (*there's* is not *there is*); all other
    punctuation goes.  A digit on its own is spelt out (*zero* to *nine*).  Abbreviations stay as they are.

    Raises:
        HearlessError: a longer number, which can be read in several ways.
    """
    plain = unicodedata.normalize("NFKC", text).lower().replace("’", "'")
    words = re.findall(r"[^\W_]+(?:'[^\W_]+)*", plain)
    numbers = [word for word in words if re.search(r"\d", word) and not re.fullmatch(r"[0-9]", word)]
    if numbers:
        raise HearlessError(
            f"a text must spell numbers in words, got {numbers[0]!r} in {text[:60]!r}; write them as they were spoken."
        )
    return " ".join(DIGITS[int(word)] if word.isdecimal() else word for word in words)


@dataclass(frozen=True, slots=True, eq=False)
class WordErrors:
    """Of each clip ``[clip]``: wrong, missing and added words together, and the words that were spoken."""

    errors: NDArray[np.int64]
    words: NDArray[np.int64]

    @property
    def rate(self) -> float:
        """The word error rate of all clips together."""
        return word_error_rate(self.words, self.errors)


def word_errors(references: Sequence[str], hypotheses: Sequence[str]) -> WordErrors:
    """Count the fewest words to change, leave out or add, clip by clip, after `normalised`.

    Args:
        references: what was said in each clip.
        hypotheses: what was made out of it; empty where nothing was.

    Raises:
        HearlessError: no clips, lists that do not pair up, a reference without words, or a number in digits.
    """
    if not references or len(references) != len(hypotheses):
        raise HearlessError(
            f"references and hypotheses must be of the same clips, got {len(references)} and {len(hypotheses)}."
        )
    said, heard = [normalised(text) for text in references], [normalised(text) for text in hypotheses]
    if not all(said):
        raise HearlessError(f"a reference must hold words, clip {said.index('')} has none; leave such clips out.")
    jiwer = _extra("jiwer")
    pairs = [jiwer.process_words(one, other) for one, other in zip(said, heard, strict=True)]
    errors = [pair.substitutions + pair.deletions + pair.insertions for pair in pairs]
    return WordErrors(np.array(errors, np.int64), np.array([len(text.split()) for text in said], np.int64))


def word_error_rate(words: Array, errors: Array) -> float:
    """Return all errors over all words, not the mean of clips: a metric as `statistics.interval` takes it.

    Args:
        words: ``[clip]``, spoken in each clip.
        errors: ``[clip]`` or ``[clip, 1]``, wrong, missing and added.
    """
    return float(np.sum(errors) / np.sum(words))


class StockRecogniser:
    """Pocketsphinx with the acoustic model, dictionary and trigrams of US English that it ships; works off-line.

    Each clip is decoded as a whole, so that nothing of one clip reaches the next.  Samples are brought to 16 kHz and
    rounded to 16 bits at the level they have; what lies beyond ±1 is clipped.

    Args:
        max_active: states of the search kept a frame.  With the library's own 30,000 what it cannot make out takes
            a core about as long as the clip; 3,000 takes a third of that for nearly the same words.

    Raises:
        HearlessError: ``max_active`` below 1.
    """

    def __init__(self, *, max_active: int = 30_000) -> None:
        if max_active < 1:
            raise HearlessError(f"max_active must be 1 or more, got {max_active}; 30000 is the library's own.")
        self._max_active = max_active
        self._decoder: Any = None

    def recognise(self, waveform: Array, rate_hz: int) -> str:
        """Return the words made out of ``[time]`` samples at ``rate_hz``; none out of digital silence.

        Raises:
            HearlessError: no samples, more than one channel, NaN or infinity, or no pocketsphinx.
        """
        samples = _int16(_waveform("waveform", waveform, rate_hz), rate_hz)
        if not samples.any():
            return ""  # the library's search makes up a word of it
        decoder = self._loaded()
        decoder.start_utt()
        decoder.process_raw(samples.tobytes(), full_utt=True)
        decoder.end_utt()
        best = decoder.hyp()
        return str(best.hypstr) if best else ""

    def _loaded(self) -> Any:
        """Return the decoder, its model read at first use."""
        if self._decoder is None:
            settings = {"samprate": RECOGNISER_RATE_HZ, "maxhmmpf": self._max_active, "loglevel": "FATAL"}
            self._decoder = _extra("pocketsphinx").Decoder(**settings)
        return self._decoder


def _int16(waveform: Array, rate_hz: int) -> NDArray[np.int16]:
    """Return samples at the recogniser's rate as 16-bit numbers."""
    resampled = soxr.resample(waveform, rate_hz, RECOGNISER_RATE_HZ, quality="VHQ")
    rounded: NDArray[np.int16] = np.clip(np.round(32767 * resampled), -32768, 32767).astype(np.int16)
    return rounded


def _waveform(name: str, samples: Array, rate_hz: int) -> Array:
    """Return ``[time]`` in double precision; refuse what is none."""
    array = np.asarray(samples, dtype=np.float64)
    if array.ndim != 1 or array.size == 0 or not np.isfinite(array).all():
        raise HearlessError(f"{name} must be finite samples [time], not empty, got shape {array.shape}; mix channels.")
    if rate_hz < 1:
        raise HearlessError(f"rate_hz must be the samples' rate in Hz, got {rate_hz}.")
    return array


def _extra(module: str) -> Any:
    """Import a module of the extra ``privacy``, or say how to get it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise HearlessError(f"this needs {module}; run: pip install 'hearless[privacy]'.") from error
