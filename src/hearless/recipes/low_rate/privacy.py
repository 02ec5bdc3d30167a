"""How much of people's speech each sensor lets through, the best attacker first (paper 000, Table 3, and paper 003).

People's word error rate is the paper's.  Ours is measured: STOI, ESTOI and a stock recogniser on recorded speech
(``--set speech=DIR``), and attackers that were trained on what the sensor keeps (``--labels`` of spoken words with a
column of speakers): one tells the words of speakers it never heard, one tells the speakers, each once straight and once
behind bands (or a Mel spectrogram) that it guesses.  The worst case is the best of them, chosen on the test clips.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from hearless import audio
from hearless.dsp.octave_bands import interval_of
from hearless.interfaces import HearlessError
from hearless.lab import Lab
from hearless.pictures import bars
from hearless.plural import plural
from hearless.privacy import PAPER_HUMAN_WER
from hearless.provenance import code_commit, environment
from hearless.recipes._shared import with_words
from hearless.recipes.low_rate import bandwidth_extended, fine_tuned, from_levels, full_band
from hearless.recipes.low_rate._speech import heard, speech
from hearless.recipes.low_rate.settings import Settings
from hearless.recipes.low_rate.table1 import rate_text
from hearless.report import Report
from hearless.report import Row as ReportRow
from hearless.statistics import Measure
from hearless.study import Question, Row, Study

BACKBONES = ("mn04",)
"""It knows sound already: an attacker from random weights is too weak to tell how private a sensor is (LOG.md)."""
DATA = None
MAPPING = {"fold": "-", "split": "-"}
"""The table's own folds are not by speaker: others are dealt."""
RATES_HZ = (16000, 8000, 4000, 2000, 1000, 500, 250)
UNITS = {"wer": "errors / word", "stoi": "0 to 1", "estoi": "0 to 1"}
SPEECH = ("wer", "stoi", "estoi")


@dataclass(frozen=True)
class Options:
    """What ``--set`` takes.

    Attributes:
        speech: a folder of recorded speech with a table meta.csv (filename, transcript, speaker); empty: none.
        levels: intervals of third-octave levels to listen to, parted by commas.
        speakers: the column of speakers in the table of words.
        word_folds: folds that its speakers are dealt to; each is tested in turn (or those of ``--folds``).
        speaker_folds: how many of as many folds of its recordings are tested for speakers.
        epochs, learning_rate, batch_size, clip_s: of each attacker.
        max_active: effort of the stock recogniser; 3000 is three times as fast and hardly worse.
    """

    speech: str = ""
    levels: str = "fast"
    speakers: str = "speaker"
    word_folds: int = 6
    speaker_folds: int = 1
    epochs: int = 12
    learning_rate: float = 3e-3
    batch_size: int = 32
    clip_s: float = 1.0
    max_active: int = 30000


WORDS = tuple(f.name for f in fields(Options))


def analyse(lab: Lab, question: Question) -> Report:
    """Return what each sensor lets through, with pictures; the attackers' own tables lie beside it."""
    options: Options = with_words(Options(), question.words, ())
    if not options.speech and not question.each:
        raise HearlessError(
            "privacy needs speech: --set speech=DIR (meta.csv with filename, transcript, speaker), --labels TABLE.csv "
            "of spoken words with a column of speakers, or both."
        )
    captures: list[int | str] = [*(question.rates or RATES_HZ), *_levels(options)]
    recorded = speech(Path(options.speech)) if options.speech else []
    told = {one: heard(lab, recorded, one, options.max_active) for one in captures} if recorded else {}
    attacks = [lab.study(one, question.command) for one in _studies(lab, question, options)]
    for one, name in zip(attacks, ("words", "speakers"), strict=False):
        one.save(question.place / name)
    report = _report(question, captures, told, attacks, _task(question, options, recorded))
    for column in report.columns:
        bars(report, question.place / f"{column}.png", metric=column)
    return report


def _levels(options: Options) -> list[str]:
    names = [name.strip() for name in options.levels.split(",") if name.strip()]
    return [name for name in names if interval_of(name, "levels")]


def capture_text(capture: int | str) -> str:
    """Return what a table calls a sensor."""
    return rate_text(capture) if isinstance(capture, int) else f"levels, {capture}"


# --- attackers --------------------------------------------------------------------------------------------------------


def _studies(lab: Lab, question: Question, options: Options) -> list[Study]:
    """Return the two tables of attackers: words of new speakers, and speakers from new recordings."""
    if not question.each:
        return []
    if len(question.each) > 1:
        raise HearlessError(f"one --backbone at a time attacks, got {len(question.each)}.")
    made = replace(
        question.each[0], epochs=options.epochs, learning_rate=options.learning_rate, batch_size=options.batch_size,
        clip_s=options.clip_s, multi_label=False,
    )  # fmt: skip
    plain = {**MAPPING, "n_folds": options.word_folds}
    if not made.dataset.accepts("group"):
        raise HearlessError("attackers need a table of words with a column of speakers; name it with --labels.")
    words = replace(made, dataset=made.dataset.replace(**plain, group=options.speakers))
    people = replace(made, dataset=made.dataset.replace(**plain, label=options.speakers, group="-"))
    rates = question.rates or RATES_HZ
    slowest = min(audio.info(path).rate_hz for path in {clip.path for clip in lab.table(words.dataset).clips})
    held = tuple(rate for rate in rates if rate <= slowest)
    top = max(rate for rate in RATES_HZ if rate <= slowest)
    folds = tuple(map(str, range(1, 1 + options.speaker_folds)))
    return [
        _study("words of unknown speakers", words, held, options, top, question.folds, question.seeds),
        _study("speakers", people, held, options, top, folds, question.seeds),
    ]


def _study(
    kind: str, settings: Settings, rates: Sequence[int], options: Options, top: int, folds: tuple[str, ...],
    seeds: tuple[int, ...],
) -> Study:  # fmt: skip
    """Return one table: two attackers a sensor, one for the sound as it was recorded."""
    rows, pairs = [], []
    for rate in sorted(rates, reverse=True):
        full = rate == top
        straight = full_band.recipe(settings, rate) if full else fine_tuned.recipe(settings, rate)
        rows.append(_row(kind, rate, "straight", straight))
        if not full:
            rows.append(_row(kind, rate, "extended", bandwidth_extended.recipe(settings, rate, top_rate_hz=top)))
            pairs.append((rows[-1].label, rows[-2].label))
    for interval in _levels(options):
        for way in ("straight", "extended"):
            recipe = from_levels.recipe(settings, interval, extended=way == "extended", top_rate_hz=top)
            rows.append(_row(kind, interval, way, recipe))
        pairs.append((rows[-1].label, rows[-2].label))
    return Study(
        "low_rate/privacy", f"An attacker that tells {kind}", f"Trained on what each sensor keeps ({kind}).",
        tuple(rows), seeds=seeds, folds=folds, compare=tuple(pairs),
    )  # fmt: skip


def _row(kind: str, capture: int | str, way: str, recipe: Any) -> Row:
    sensor = capture_text(capture)
    return Row(f"{kind}, {sensor}, {way}", {"sensor": sensor, "attacker": way}, (recipe,))


# --- the table --------------------------------------------------------------------------------------------------------


def _report(
    question: Question, captures: Sequence[int | str], told: Mapping[int | str, Mapping[str, Measure]],
    attacks: Sequence[Report], task: str,
) -> Report:  # fmt: skip
    made = [_sensor(one, told.get(one, {}), attacks) for one in captures]
    rows = tuple(row for row in made if row.metrics or row.hole)
    order = ("words", "speakers", *SPEECH)
    columns = tuple(name for name in order if any(name in row.metrics for row in rows))
    return Report(
        title="What each sensor lets through of speech", task=task, columns=columns or ("words",), rows=rows,
        tests=tuple(test for one in attacks for test in one.tests),
        notes=_notes(attacks, told, [row.label for row in made if row not in rows]),
        command=question.command, commit=code_commit(), environment=environment(),
        seeds=question.seeds, units=UNITS, published_heading="people (paper 000)", heading="sensor",
    )  # fmt: skip


def _sensor(capture: int | str, told: Mapping[str, Measure], attacks: Sequence[Report]) -> ReportRow:
    """Return a sensor's row: the best attacker of each kind, each attacker by itself, and what was made out."""
    sensor = capture_text(capture)
    metrics, best, holes = dict(told), [], []
    for name, attack in zip(("words", "speakers"), attacks, strict=False):
        ours = [row for row in attack.rows if row.condition["sensor"] == sensor]
        done = {str(row.condition["attacker"]): row.metrics["accuracy"] for row in ours if row.metrics}
        metrics |= {f"{name}_{way}": measure for way, measure in done.items()}
        holes += [f"{row.label}: {row.hole}" for row in ours if row.hole]
        if done:
            metrics[f"{name}_chance"] = Measure(1.0 / max(1, *(len(row.per_class) for row in attack.rows)))
            way = max(done, key=lambda one: done[one].value)
            metrics[name] = done[way]
            best.append(f"{name}: {way}")
    wer = PAPER_HUMAN_WER.get(capture) if isinstance(capture, int) else None
    return ReportRow(
        sensor, {"best attacker": "; ".join(best)} if best else {}, metrics, hole="; ".join(holes),
        published=None if wer is None else {"wer": wer}, source="Table 3, word errors of ten listeners" if wer else "",
    )  # fmt: skip


def _task(question: Question, options: Options, recorded: Sequence[Any]) -> str:
    said = []
    if recorded:
        written = sum(bool(one.transcript) for one in recorded)
        people = plural(len({one.speaker for one in recorded}), "speaker")
        said.append(f"{plural(len(recorded), 'recording')} of {people}, {written} with a transcript.")
    if question.each:
        said.append(
            f"Attackers: {question.task} Words on {options.word_folds} folds of speakers"
            f"{' (' + ', '.join(question.folds) + ' tested)' if question.folds else ''}, speakers on "
            f"{options.speaker_folds} of {options.word_folds} folds of recordings."
        )
    return " ".join(said)


def _notes(attacks: Sequence[Report], told: Mapping[int | str, Any], beyond: Sequence[str]) -> tuple[str, ...]:
    notes = [f"Left out, as the recordings do not hold it: {', '.join(beyond)}."] if beyond else []
    if attacks:
        chances = [
            f"{100 / max(1, *(len(row.per_class) for row in one.rows)):.0f} % by chance ({what})"
            for what, one in zip(("words", "speakers"), attacks, strict=False)
        ]
        notes += [
            "words, speakers: the best attacker of each sensor, chosen after the test, so rather too good than too "
            f"bad; {', '.join(chances)}. One network of one size: a better attacker may do better.",
            "words: intervals and tests resample the speakers that were tested; of one speaker there are none.",
            "speakers: other recordings of known people, of the same microphone and room.",
        ]
    if told:
        notes.append(
            "wer: a recogniser that knows full-band speech only, an upper bound of an attacker's errors; stoi and "
            "estoi: of what is played back at 16 kHz and 16 bits, levels through the pseudo-inverse and Griffin-Lim."
        )
    return tuple(notes)
