"""Several models' hearings of one sound in one picture, a log looked at, and sound made from levels."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import matplotlib.axes
import numpy as np
import pytest
import soundfile
import torch
from click.testing import Result
from matplotlib.image import imread
from safetensors.torch import save_file
from typer.testing import CliRunner

import hearless
from hearless import audio, cli, door
from hearless.captures.full_band import FullBand
from hearless.captures.low_rate import LowRate
from hearless.classifiers.mobilenetv3 import MobileNetV3
from hearless.door.model import Opening
from hearless.enhancers.time_frequency_enhancer import TimeFrequencyEnhancer
from hearless.frontends.kaldi_fbank import KaldiFbank
from hearless.frontends.preemphasis_mel import PreEmphasisMel
from hearless.interfaces import HearlessError
from hearless.pipeline import PipelineSpec
from hearless.spec import spec

pytestmark = pytest.mark.usefixtures("cached")

NAMES = ["spectral_transcoder-pinv-mn04-fast", "spectral_transcoder-light-mn04-fast"]
TRUE = "the sound itself: MobileNetV3"


def typed(*words: object, code: int = 0) -> Result:
    result = CliRunner().invoke(cli.app, [str(word) for word in words], env={"COLUMNS": "200"})
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of random weights in mn04's layout."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = MobileNetV3(n_classes=527, width=0.4)
    path = tmp_path_factory.mktemp("weights") / "mn04.safetensors"
    save_file(network.state_dict(), path)
    return path


@pytest.fixture(scope="session")
def runs(tiny: Path, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return the runs of a pseudo-inverse and of a light transcoder, trained for an epoch."""
    folder = tmp_path_factory.mktemp("transcoders")
    words = {"epochs": 1, "batch_size": 6, "light_channels": 2, "light_blocks": 1, "validation": 0.3}
    return [
        hearless.train(
            labels=tiny / "meta.csv", runs=folder, method=f"spectral_transcoder/{method}", backbone="mn04",
            weights=weights, **words,
        ).path
        for method in ("pinv", "light")
    ]  # fmt: skip


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Return three seconds at 32 kHz: a tone of 1 kHz that goes on and off, in noise."""
    time_s = np.arange(3 * 32000) / 32000
    tone = 0.2 * np.sin(2 * np.pi * 1000 * time_s) * (np.sin(2 * np.pi * time_s) > 0)
    path = tmp_path / "tone.wav"
    soundfile.write(path, tone + 0.002 * np.random.default_rng(0).standard_normal(len(time_s)), 32000, subtype="FLOAT")
    return path


@pytest.fixture
def log(clip: Path, tmp_path: Path) -> Path:
    door.levels(clip, tmp_path / "log.csv")
    return tmp_path / "log.csv"


@pytest.fixture
def painted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[np.ndarray, tuple[float, float]]]:
    """Collect what matplotlib is given to draw, and its colours."""
    values = []
    true = matplotlib.axes.Axes.imshow

    def imshow(place: object, image: np.ndarray, **options: float) -> object:
        values.append((image, (options["vmin"], options["vmax"])))
        return true(place, image, **options)

    monkeypatch.setattr(matplotlib.axes.Axes, "imshow", imshow)
    return values


# --- several models in one picture ----------------------------------------------------------------------------------


def test_runs_stand_below_what_their_classifier_hears_of_the_sound(
    runs: list[Path], clip: Path, tmp_path: Path, painted: list[tuple[np.ndarray, tuple[float, float]]]
) -> None:
    shown = hearless.show_together(runs, clip, tmp_path / "fig5.svg", top=4)
    assert list(shown.scores) == [TRUE, *NAMES]
    assert [one.layer.name for one in shown.hearings] == [
        f"{TRUE}, heard: PreEmphasisMel", f"{NAMES[0]}, made of it: PINVTranscoder",
        f"{NAMES[1]}, made of it: LightTranscoder",
    ]  # fmt: skip
    samples, _ = audio.read(clip, 32000, 0.0, 1.0)
    with torch.inference_mode():
        true = PreEmphasisMel()(torch.from_numpy(samples)[None])[0, 0].numpy()
    images, colours = zip(*painted, strict=True)
    np.testing.assert_allclose(images[0], true, atol=1e-4)
    for image, run in zip(images[1:], runs, strict=True):
        parts, scores, _ = door.load(run).heard(clip, top=4)
        np.testing.assert_allclose(image, parts[-1].values, atol=1e-5)
        assert shown.scores[run.parent.name.rpartition("-")[0]] == pytest.approx(scores)
    words = (tmp_path / "fig5.svg").read_text(encoding="utf-8")
    for one, said in zip(shown.hearings, shown.scores.values(), strict=True):
        assert one.said == tuple(f"{label} {score:.2f}" for label, score in said.items())
        assert len(said) == 4
        assert f"<!-- {one.said[0][:8]}" in words
    assert shown.part == "the first 1 s of 3 s"
    assert colours[0] == colours[1] == colours[2]
    assert colours[0][1] == pytest.approx(true.max(), abs=1e-4)
    assert {one.layer.axes and one.layer.axes.band_hz for one in shown.hearings} == {PreEmphasisMel().band_hz}


def test_the_classifier_beside_is_the_frozen_one(runs: list[Path], weights: Path) -> None:
    models = [door.load(run) for run in runs]
    originals = [model.original() for model in models]
    for model, original in zip(models, originals, strict=True):
        assert original is not None
        assert original.labels == model.labels
        assert original.original() is None
        for mine, theirs in zip(
            original.pipeline.classifier.parameters(), model.pipeline.classifier.parameters(), strict=True
        ):
            assert torch.equal(mine, theirs)
    assert door.load_weights(weights, "mn04").original() is None


def test_of_a_log_there_is_no_sound_to_hear(runs: list[Path], log: Path, clip: Path, tmp_path: Path) -> None:
    shown = hearless.show_together(runs, log, tmp_path / "log.png", db_offset=0.0)
    assert list(shown.scores) == NAMES
    assert [one.like for one in shown.hearings] == [None, 0]
    for run, name in zip(runs, NAMES, strict=True):
        _, scores, seconds = door.load(run).heard(clip)
        assert list(shown.scores[name].values()) == pytest.approx(list(scores.values()), abs=2e-3)
        assert shown.seconds == pytest.approx(seconds)


def test_a_model_alone_shows_a_log(runs: list[Path], log: Path, clip: Path, tmp_path: Path) -> None:
    model, told = door.load(runs[1]), list[str]()
    shown = model.show(log, tmp_path / "log.png", db_offset=0.0)
    assert imread(shown.picture).shape[2] == 4
    levels, again = shown.layers[0].values, model.heard(clip)[0][0].values
    np.testing.assert_allclose(levels[:, :7], again[:, :7], atol=1e-3)  # the last frame reaches beyond the window
    moved, *_ = model.heard(log, how=Opening(say=told.append))
    offset = float(told[0].split()[1])
    assert told[0].startswith("offset ")
    within = ~np.array(model.unheard)
    np.testing.assert_allclose(moved[0].values[within], levels[within] + offset, atol=1e-3)


def test_models_of_other_kinds_are_drawn_too(runs: list[Path], weights: Path, clip: Path, tmp_path: Path) -> None:
    """Models without a transcoder are given what their front end makes; runs' names are whole where they are alike."""
    published = door.load_weights(weights, "mn04")
    shown = hearless.show_together([replace(published, window_s=1.0), runs[0]], clip, tmp_path / "a.png")
    assert list(shown.scores) == ["mn04.safetensors", TRUE, NAMES[0]]
    np.testing.assert_allclose(shown.hearings[0].layer.values, shown.hearings[1].layer.values, atol=1e-5)
    alike = [replace(published, name=f"low_rate-cssd-abc/fold{fold}") for fold in (1, 2)]
    assert list(hearless.show_together(alike, clip, tmp_path / "a.png").scores) == [one.name for one in alike]


def test_each_mask_stands_above_what_it_leaves(
    clip: Path, tmp_path: Path, painted: list[tuple[np.ndarray, tuple[float, float]]]
) -> None:
    """A panel says what it shows: what is heard, or the mask, in 0 … 1, and what is heard times the mask."""
    view = spec(LowRate), spec(PreEmphasisMel, input_rate_hz=1000, bands=24), spec(MobileNetV3, width=0.2)
    plain = PipelineSpec(*view)
    masked = replace(plain, enhancer=spec(TimeFrequencyEnhancer, n_blocks=2, channels=4))
    models = [
        door.Model(made.build(3).eval(), ("hiss", "hum", "tick"), False, 1.0, name)
        for made, name in ((masked, "student"), (plain, "raw"))
    ]
    shown = hearless.show_together(models, clip, tmp_path / "masks.svg")
    names = [one.layer.name for one in shown.hearings]
    assert names[0].startswith("student, mask: TimeFrequencyEnhancer, 0.")
    assert names[1:] == ["student, enhanced: heard × mask", "raw, heard: PreEmphasisMel"]
    assert [len(one.said) for one in shown.hearings] == [0, 3, 3]
    (_, mask, enhanced), *_ = models[0].heard(clip)
    (heard,), *_ = models[1].heard(clip)
    for (image, _), part in zip(painted, (mask, enhanced, heard), strict=True):
        np.testing.assert_array_equal(image, part.values)
    scales = [scale for _, scale in painted]
    assert scales[0] == (0.0, 1.0)
    assert scales[1] == pytest.approx((np.quantile(enhanced.values, 0.05), enhanced.values.max()))
    assert list(shown.scores) == ["student", "raw"]


@pytest.mark.parametrize("frames", [None, 120])
def test_frames_after_the_end_are_marked_and_told(tmp_path: Path, frames: int | None) -> None:
    """Of a sound shorter than the window, and of a front end that fills up to a number of frames."""
    network = spec(MobileNetV3, width=0.2)
    made = PipelineSpec(spec(FullBand), spec(KaldiFbank, frames=frames), network)
    model = door.Model(made.build(3).eval(), ("hiss", "hum", "tick"), False, 1.0, "a")
    for seconds, padded, said in (
        (0.6, True, "padding after 0.6 s"),
        (1.0, frames is not None, "padding after 1 s"),
        (1.5, frames is not None, "the first 1 s of 1.5 s, padding after 1 s"),
    ):
        soundfile.write(tmp_path / "a.wav", np.random.default_rng(0).normal(0, 0.1, round(seconds * 16000)), 16000)
        shown = model.show(tmp_path / "a.wav", tmp_path / "a.svg")
        both = hearless.show_together([model], tmp_path / "a.wav", tmp_path / "b.svg")
        expected = said if padded else said.rpartition("padding")[0].rstrip(", ")
        assert shown.part == both.part == expected
        assert [layer.end_s for layer in shown.layers] == [min(seconds, 1.0) if padded else None]
        for drawn in (shown, both):
            words = drawn.picture.read_text(encoding="utf-8")
            assert ("<!-- padding" in words.replace("<!--  ", "<!-- ")) == padded
            assert expected in words


def test_what_cannot_be_drawn_together_is_refused(runs: list[Path], weights: Path, log: Path, tmp_path: Path) -> None:
    for models, said in (
        ([], "each model must be named once, got none"),
        ([runs[0], runs[0]], "each model must be named once, got"),
        ([runs[0], door.load_weights(weights, "mn04")], r"mn04.safetensors hears sound; for level tables train"),
    ):
        with pytest.raises(HearlessError, match=said):
            hearless.show_together(models, log, tmp_path / "a.png", db_offset=0.0)
    with pytest.raises(HearlessError, match="top must be at least 1"):
        hearless.show_together(runs, log, tmp_path / "a.png", top=0, db_offset=0.0)


# --- sound made from levels -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["clip", "log"])
def test_a_tone_is_heard_in_what_is_left(
    runs: list[Path], request: pytest.FixtureRequest, tmp_path: Path, source: str
) -> None:
    """A second each: the tone is on in the first half, and off in the other; it stays in its band."""
    file, out = request.getfixturevalue(source), tmp_path / "left.wav"
    assert hearless.resynthesise(runs[0], file, out, db_offset=0.0) == pytest.approx(3.0)
    samples, rate_hz = audio.read(out)
    assert (rate_hz, len(samples)) == (32000, 3 * 32000)
    assert np.abs(samples).max() == pytest.approx(0.5, abs=1e-3)
    on, off = samples[2000:14000], samples[20000:30000]
    assert np.sqrt((on**2).mean()) > 5 * np.sqrt((off**2).mean())
    spectrum = np.abs(np.fft.rfft(on)) ** 2
    hz = np.fft.rfftfreq(len(on), 1 / rate_hz)
    assert spectrum[(hz > 850) & (hz < 1200)].sum() > 0.8 * spectrum.sum()


def test_seconds_end_it_and_the_same_levels_sound_the_same(runs: list[Path], clip: Path, tmp_path: Path) -> None:
    model = door.load(runs[1])
    assert hearless.resynthesise(model, clip, tmp_path / "a.wav", seconds=0.5) == pytest.approx(0.5)
    assert hearless.resynthesise(model, clip, tmp_path / "b.wav", seconds=0.5) == pytest.approx(0.5)
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


def test_silence_is_written_as_silence(runs: list[Path], tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros(32000), 32000)
    hearless.resynthesise(runs[0], tmp_path / "silence.wav", tmp_path / "left.flac")
    assert np.abs(audio.read(tmp_path / "left.flac")[0]).max() <= 0.5


def test_what_cannot_be_heard_is_refused(runs: list[Path], weights: Path, clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "left.wav"
    with pytest.raises(HearlessError, match="no transcoder to be heard; train one: hearless train"):
        hearless.resynthesise(door.load_weights(weights, "mn04"), clip, out)
    for seconds in (0.0, 1e4):
        with pytest.raises(HearlessError, match=r"seconds must lie between 0\.1 and 600"):
            hearless.resynthesise(runs[0], clip, out, seconds=seconds)
    with pytest.raises(HearlessError, match=r"must end in one of \.wav"):
        hearless.resynthesise(runs[0], clip, tmp_path / "left.png")
    assert not out.exists()


# --- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    monkeypatch.chdir(tmp_path)
    return Path


def test_the_command_shows_several(runs: list[Path], clip: Path, here: Callable[[str], Path]) -> None:
    text = typed("show", *runs, clip).stdout
    assert here("tone.show.png").read_bytes().startswith(b"\x89PNG")
    lines = [line for line in text.splitlines() if line.startswith("- ")]
    assert [line[2:].partition(": ")[0] for line in lines[1:3]] == NAMES
    assert lines[0].startswith(f"- {TRUE}: ")
    assert f"hearless compare {runs[0]} {runs[1]}" in text
    found = json.loads(typed("show", *runs, clip, "--top", 2, "--json").stdout)
    assert {name: len(scores) for name, scores in found["models"].items()} == dict.fromkeys([TRUE, *NAMES], 2)
    assert (found["seconds"], found["end_s"]) == (3.0, 1.0)


def test_the_command_lets_people_hear_a_log(runs: list[Path], log: Path, here: Callable[[str], Path]) -> None:
    words = ["show", runs[0], log, "--db-offset", 0, "--listen-to", "left.wav", "--seconds", 1]
    result = typed(*words)
    assert "left.wav written: what is left of the sound in the levels, 1 s." in result.stderr
    assert audio.info(here("left.wav")).duration_s == 1.0
    assert here("log.show.png").is_file()
    assert "the first 1 s of about 3 s" in result.stdout


def test_the_command_refuses_in_a_sentence(runs: list[Path], clip: Path, tmp_path: Path) -> None:
    for words, said in (
        ([*runs, clip, "--listen-to", tmp_path / "a.wav"], "--listen-to takes one model"),
        ([runs[0], runs[0], clip], "each model must be named once"),
        ([*runs], "one model at a time, and none beside --weights"),
        ([runs[0], clip, clip], "one sound at a time"),
    ):
        assert said in typed("show", *words, code=1).stderr
