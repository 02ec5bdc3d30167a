"""One page on runs or studies: tables, learning curves, confusions, classes, and clips as the sensor heard them.

Everything is in one HTML file that needs no network (`hearless.page`).  Clips are drawn and played where the folder of
the recordings is named; a run does not tell where they lie.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hearless import audio, door, page
from hearless.frontends.log_mel import LogMel
from hearless.interfaces import Clip, Frontend, HearlessError
from hearless.loading import read_table
from hearless.pictures import Layer, layers
from hearless.playback import as_heard
from hearless.recipe import Recipe
from hearless.report import Report, Row
from hearless.run import Predictions, Run, write_whole

REFERENCE_HZ = 16000
MOST_CLASSES = 60
"""Classes of a confusion matrix, at most."""


@dataclass(frozen=True)
class Chapter:
    """A table and the runs behind its rows."""

    report: Report
    runs: Mapping[str, tuple[Run, ...]]
    pictures: tuple[Path, ...] = ()


def dossier(
    named: Sequence[str | Path], out: str | Path, *, runs: str | Path = "runs", root: str | Path | None = None,
    n_clips: int = 3, command: str = "",
) -> Path:  # fmt: skip
    """Write one self-contained page on finished runs or studies and return where it lies.

    Args:
        named: run folders, recipe folders, studies by name (``low_rate/table1``) or folders with a report.json.
        out: the page.
        runs: the folder of all runs, where studies lie.
        root: the folder of the recordings; None: no clips are played.
        n_clips: how many clips of each sensor.
        command: what was typed.

    Raises:
        HearlessError: nothing finished is called so, or the page cannot be written.
    """
    if n_clips < 1:
        raise HearlessError(f"n_clips must be at least 1, got {n_clips}.")
    if root is not None and not Path(root).is_dir():
        raise HearlessError(f"root must be the folder of the recordings, got {root}, which is no folder.")
    chapters = _chapters(named, Path(runs), command)
    title = chapters[0].report.title if len(chapters) == 1 else "What was measured"
    pieces = [piece for chapter in chapters for piece in _chapter(chapter, alone=len(chapters) == 1)]
    every = {run.path: run for chapter in chapters for found in chapter.runs.values() for run in found}
    pieces.append(_sounds(list(every.values()), root, n_clips))
    write_whole(Path(out), page.page(title, *pieces).encode())
    return Path(out)


def _chapters(named: Sequence[str | Path], runs: Path, command: str) -> list[Chapter]:
    studies = {name: place for name in named if (place := _study(name, runs))}
    folders = [Path(name) for name in named if name not in studies]
    made = [_of_study(place, runs) for place in studies.values()]
    if folders:
        report = _of_folders(folders, command)
        found = [tuple(door.finished(folder)) for folder in folders]
        made.append(Chapter(report, dict(zip([row.label for row in report.rows], found, strict=True))))
    if not made:
        raise HearlessError("a page needs a run or a study; name one, such as low_rate/table1.")
    return made


def _of_folders(folders: Sequence[Path], command: str) -> Report:
    """Return the table of run folders; two of them are compared, or it is said why they cannot be."""
    if len(folders) != 2:
        return door.results(folders, command)
    try:
        return door.results(folders, command, compare=True)
    except HearlessError as error:
        report = door.results(folders, command)
        return replace(report, notes=(*report.notes, f"Not compared: {error}"))


def _study(name: str | Path, runs: Path) -> Path | None:
    """Return the folder of a study's table, by its name or as it is; None where it is no study.

    Raises:
        HearlessError: a study that was not run yet, or a name that is neither a folder nor a study.
    """
    places = (Path(name), runs / "studies" / name)
    found = next((place for place in places if (place / "report.json").is_file()), None)
    if found is not None or places[0].exists():
        return found
    known = door.study_names()
    if str(name) in known:
        raise HearlessError(f"{places[1]} has no report.json; run hearless study {name} --runs {runs} first.")
    raise HearlessError(
        f"{str(name)!r} is neither a folder nor a study{door.meant(str(name), known)}; studies are {', '.join(known)}."
    )


def _of_study(place: Path, runs: Path) -> Chapter:
    """Return a study's table with its runs: those below ``runs``, else below the folder that holds its studies."""
    report = Report.load(place)
    above = [one.parent for one in place.resolve().parents if one.name == "studies"]
    there = next(
        (one for one in (runs, *above) if any((one / run).is_dir() for row in report.rows for run in row.runs)), runs
    )
    found = {row.label: tuple(run for one in row.runs if (run := Run(there / one)).done) for row in report.rows}
    return Chapter(report, found, tuple(sorted(place.glob("*.png"))))


def _chapter(chapter: Chapter, *, alone: bool) -> Iterable[str]:
    report = chapter.report
    if not alone:
        yield page.section(report.title, page.paragraph(" "))
    yield from page.of_report(report)
    if not any(chapter.runs.values()) and any(row.runs for row in report.rows):
        yield page.paragraph(
            "The runs of this table were not found, so there are no learning curves, confusions nor clips; name their "
            "folder with --runs."
        )
    yield page.section("Pictures", *(page.image(path) for path in chapter.pictures))
    for row in report.rows:
        yield page.section(row.label, *_row(report, row, chapter.runs.get(row.label, ())))


def _row(report: Report, row: Row, runs: Sequence[Run]) -> Iterable[str]:
    """Yield a row's classes, and the learning curves, confusions and making of its runs."""
    yield page.bars(row.per_class, report.unit(report.columns[0]))
    if runs:
        yield from _curves(runs)
        yield _confusion(runs)
        yield _making(runs[0])


def _curves(runs: Sequence[Run]) -> Iterable[str]:
    """Yield the loss in training and the measure that chose the epoch."""
    rows = {run.path.name: run.metrics() for run in runs}
    every = next((row for found in rows.values() for row in found), {})
    wanted = f"validation_{runs[0].recipe.select.partition(':')[2]}"
    chosen = wanted if wanted in every else next((name for name in every if name.startswith("validation_")), "")
    for name in filter(None, ("loss", chosen)):
        lines = {run: [float(row.get(name, np.nan)) for row in found] for run, found in rows.items()}
        yield page.curves(lines, up=name.replace("validation_", "validation "))


def _confusion(runs: Sequence[Run]) -> str:
    """Return which classes are taken for which, over all runs; nothing for several labels or very many."""
    measured = runs[0].measured
    labels = measured["labels"]
    if measured["multi_label"] or len(labels) > MOST_CLASSES:
        return ""
    found = [Predictions.load(run.predictions("test")) for run in runs]
    true = np.concatenate([one.true.argmax(1) for one in found])
    said = np.concatenate([one.logits.argmax(1) for one in found])
    told = f"Test clips by true class and the class they were taken for, of {len(runs)} run{'s'[: len(runs) > 1]}:"
    return page.paragraph(told) + page.confusion(true, said, labels)


def _making(run: Run) -> str:
    """Return with what the first of several runs was trained."""
    known = {name: str(value) for name, value in run.read("environment.json").items()}
    commit = known.pop("commit", "")
    made = {"run": f"{run.path.parent.name}/{run.path.name}", "commit": commit}
    made["environment"] = ", ".join(f"{name} {value}" for name, value in known.items())
    recipe = json.dumps(run.recipe.to_json(), indent=1, ensure_ascii=False)
    return page.facts({name: value for name, value in made.items() if value}) + page.folded("its recipe", recipe)


# --- clips ------------------------------------------------------------------------------------------------------------


def _sounds(runs: Sequence[Run], root: str | Path | None, n_clips: int) -> str:
    """Return clips of each sensor, drawn and played."""
    sensors = {json.dumps(run.recipe.student.capture.to_json()): run for run in reversed(runs)}
    if not sensors:
        return ""
    heading = "What the sensor hears"
    if root is None:
        return page.section(heading, page.paragraph("Name the folder of the recordings with --root to hear it."))
    pieces = [piece for run in sensors.values() for piece in _of_sensor(run, Path(root), n_clips)]
    return page.section(heading, page.paragraph("Click a picture to play it; below it, the sound itself."), *pieces)


def _of_sensor(run: Run, root: Path, n_clips: int) -> Iterable[str]:
    recipe, labels = run.recipe, run.measured["labels"]
    clips = {clip.id: clip for clip in read_table(recipe.dataset.build(), root).clips}
    found = Predictions.load(run.predictions("test"))
    capture = recipe.student.capture
    told = ", ".join(f"{name} {value}" for name, value in capture.arguments.items())
    yield page.section(f"{capture.name}{f' ({told})' if told else ''}", page.paragraph(run.path.parent.name), level=3)
    for i in chosen(found, n_clips):
        clip = clips.get(str(found.ids[i]))
        if clip is None:
            raise HearlessError(
                f"{root} has no clip {str(found.ids[i])!r}; name the folder that the run was trained from."
            )
        said = labels[int(found.logits[i].argmax())]
        yield from _heard(recipe, clip, run.measured["clip_s"], f"{clip.id}: {', '.join(clip.labels)}; heard as {said}")


def chosen(found: Predictions, n: int) -> list[int]:
    """Return which clips to show: the surest that is right, the surest that is wrong, and so on in turn."""
    shifted = found.logits - found.logits.max(axis=1, keepdims=True)
    sure = -np.log(np.exp(shifted).sum(axis=1))
    order: list[int] = np.argsort(-sure, kind="stable").tolist()
    right = found.logits.argmax(1) == found.true.argmax(1)
    sides = [[i for i in order if right[i]], [i for i in order if not right[i]]]
    turns = [side[k] for k in range(len(order)) for side in sides if k < len(side)]
    return turns[:n]


def _heard(recipe: Recipe, clip: Clip, clip_s: float, caption: str) -> Iterable[str]:
    """Yield a clip's spectrograms, playing what the sensor kept, and the clip itself."""
    capture, frontend = recipe.student.capture, recipe.student.frontend.build()
    length_s = clip_s if clip.duration_s is None else min(clip_s, clip.duration_s)
    source_hz = min(capture.build().source_rate_hz, audio.info(clip.path).rate_hz)
    samples, rate_hz = audio.read(clip.path, source_hz, clip.start_s, length_s)
    sound = torch.from_numpy(np.pad(samples, (0, max(0, round(clip_s * rate_hz) - len(samples)))))[None]
    with torch.inference_mode():
        observation = capture.build()(sound, rate_hz)
        kept, played_hz = as_heard(capture, observation)
        picture = _picture(samples_at_16k(clip, length_s), frontend, observation, capture.name)
    yield page.playing(picture, _loud(kept[0].numpy()), played_hz, caption)
    yield page.playing("", _loud(samples_at_16k(clip, length_s)), REFERENCE_HZ, "the sound itself, at 16 kHz")


def samples_at_16k(clip: Clip, length_s: float) -> NDArray[np.float32]:
    """Return a clip's first seconds ``[time]`` at 16 kHz."""
    return audio.read(clip.path, REFERENCE_HZ, clip.start_s, length_s)[0]


def _loud(samples: NDArray[Any]) -> NDArray[np.float32]:
    """Return samples at half of full scale, so that clips are alike to listen to."""
    peak = float(np.abs(samples).max())
    scaled: NDArray[np.float32] = (samples * (0.5 / peak) if peak else samples).astype(np.float32)
    return scaled


def _picture(samples: NDArray[np.float32], frontend: Any, observation: torch.Tensor, sensor: str) -> str:
    """Return the spectrogram of the sound above what the classifier is given of it."""
    whole: Frontend = LogMel(input_rate_hz=REFERENCE_HZ)
    padded = torch.from_numpy(np.pad(samples, (0, max(0, 1024 - len(samples)))))[None]
    stack = (
        Layer("the sound at 16 kHz", whole(padded)[0, 0].numpy(), "dB", whole.axes(padded.shape[1])),
        Layer(
            f"what the classifier is given of {sensor}", frontend(observation)[0, 0].numpy(), "feature",
            frontend.axes(observation.shape[-1]),
        ),
    )  # fmt: skip
    with TemporaryDirectory() as folder:
        return page.image(layers(stack, Path(folder) / "heard.png"), "spectrograms")
