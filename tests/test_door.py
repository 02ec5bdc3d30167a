"""The Python door: train, load, predict, compare and list in a few lines, and what they say of bad input."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import matplotlib.axes
import numpy as np
import pytest
import soundfile
import torch
from matplotlib.image import imread

import hearless
from hearless import door, evaluate
from hearless.calibration import Calibration
from hearless.captures.low_rate import LowRate
from hearless.captures.third_octave import ThirdOctave
from hearless.classifiers._official import weights_table
from hearless.classifiers.mobilenetv3 import MobileNetV3
from hearless.datasets.synthetic import Synthetic
from hearless.enhancers.pinv_transcoder import PINVTranscoder
from hearless.enhancers.time_frequency_enhancer import TimeFrequencyEnhancer
from hearless.frontends.band_levels import BandLevels
from hearless.frontends.preemphasis_mel import PreEmphasisMel
from hearless.interfaces import HearlessError
from hearless.lab import Lab
from hearless.pipeline import PipelineSpec
from hearless.run import Predictions, Run
from hearless.spec import spec

pytestmark = pytest.mark.usefixtures("cached")

SMALL = {"backbone": "mn02", "epochs": 1, "batch_size": 8, "validation": 0.3}


@pytest.fixture
def trained(tiny: Path, tiny_runs: Path) -> Callable[..., Run]:
    """Return a maker of runs on the tiny table; each is trained once a session."""

    def make(**words: object) -> Run:
        return hearless.train(**{"labels": tiny / "meta.csv", "runs": tiny_runs, **SMALL, **words})

    return make


# --- the door itself ------------------------------------------------------------------------------------------------


def test_importing_hearless_loads_nothing_heavy() -> None:
    heavy = "{'torch', 'numpy', 'scipy', 'soundfile', 'matplotlib'}"
    code = f"import sys, hearless; print(sorted({heavy} & set(sys.modules)), hearless.__version__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", hearless.__version__]


def test_the_doors_names_stay_the_doors_whatever_modules_are_imported() -> None:
    code = (
        "import hearless.train, hearless.study; from hearless.train import Tick; import hearless;"
        "print(hearless.train.__module__, hearless.study.__module__, hearless.results.__module__, Tick.__module__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [name.rpartition(".")[0] for name in done.stdout.split()] == ["hearless.door"] * 3 + ["hearless"]
    assert set(hearless.__all__) <= set(dir(hearless))
    assert all(getattr(hearless, name) is getattr(door, name) for name in hearless.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'trian'; it offers Model"):
        _ = hearless.trian


def test_contents_are_plain_and_complete() -> None:
    found = hearless.contents()
    assert {"CsvLabels", "ESC50", "FolderLabels", "Synthetic"} <= set(json.loads(json.dumps(found))["datasets"])
    assert {"low_rate/cssd", "low_rate/table1", "low_rate/demo"} <= set(found["recipes and studies"])
    assert {"mn04", "cnn14_16k", "resnet38", "mobilenetv2"} <= set(found["weights"])


def test_what_is_described_is_what_the_files_make() -> None:
    found = door.described()
    assert tuple(found["studies"]) == door.study_names()
    assert {*found["recipes"], *found["studies"]} == {*door.recipe_names()}
    assert all(said.endswith((".", ":")) for told in found.values() for said in told.values())


# --- train, load, predict -------------------------------------------------------------------------------------------


def test_train_load_predict_in_three_lines(trained: Callable[..., Run], tiny: Path) -> None:
    run = trained()
    assert run.recipe.name == "low_rate/cssd-1000Hz-alpha0.5-T4"
    scores = hearless.load(run.path).predict(tiny / "audio" / "hum3.wav")
    assert list(scores.values()) == sorted(scores.values(), reverse=True)
    assert sum(scores.values()) == pytest.approx(1)
    assert set(scores) == {"hiss", "hum", "tick"}


def test_asking_twice_trains_nothing(trained: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    first = trained()
    monkeypatch.setattr(Lab, "_make", None)
    assert trained().path == first.path


def test_files_and_samples_score_alike(trained: Callable[..., Run], tiny: Path) -> None:
    model = hearless.load(trained())
    for name in ("hum3", "tick5"):
        path = tiny / "audio" / f"{name}.wav"
        samples, rate = soundfile.read(path)
        by_path, by_samples = model.predict(path), model.predict(samples, rate)
        assert by_samples == pytest.approx(by_path, abs=2e-3)
        assert model.predict(str(path)) == by_path


def test_a_model_says_what_its_run_stored(trained: Callable[..., Run], tiny: Path) -> None:
    run = trained()
    model, stored = hearless.load(run), Predictions.load(run.predictions("test"))
    shares = torch.softmax(torch.from_numpy(stored.logits).double() / model.calibration.temperature, -1).numpy()
    for clip_id, share in list(zip(stored.ids, shares, strict=True))[::5]:
        samples, rate = soundfile.read(tiny / "audio" / clip_id, dtype="float32")
        said = model.predict(samples, rate)
        assert [said[label] for label in model.labels] == pytest.approx(share.tolist(), abs=1e-5)


def test_scores_are_calibrated(trained: Callable[..., Run], tiny: Path) -> None:
    model = hearless.load(trained())
    rule = model.calibration
    assert rule.temperature == trained().measured["temperature"]
    assert model.listener.none_below == rule.none_below
    hotter = replace(model, calibration=Calibration(4 * rule.temperature))
    clip = tiny / "audio" / "hum1.wav"
    cold, hot = (np.log([*one.predict(clip).values()]) for one in (model, hotter))
    np.testing.assert_allclose(np.diff(cold), 4 * np.diff(hot), atol=1e-3)
    assert [*model.show(clip, clip.with_suffix(".png")).scores.values()] == pytest.approx(
        [*model.predict(clip).values()], abs=1e-4
    )


def test_long_sounds_are_heard_in_windows(trained: Callable[..., Run], tmp_path: Path) -> None:
    model = hearless.load(trained())
    samples = 0.1 * np.random.default_rng(0).standard_normal(int(1.3 * 8000))
    soundfile.write(tmp_path / "long.wav", samples, 8000, subtype="FLOAT")
    parts = [model.predict(samples[start : start + 4000], 8000) for start in (0, 4000, 8000)]
    expected = {label: np.average([p[label] for p in parts], weights=[4000, 4000, 2400]) for label in model.labels}
    assert model.predict(samples, 8000) == pytest.approx(expected, abs=1e-6)
    assert model.predict(tmp_path / "long.wav") == pytest.approx(expected, abs=5e-3)


@pytest.mark.parametrize(
    ("samples", "rate"),
    [(np.zeros(800), None), (np.zeros(800), 500), (np.zeros((2, 800)), 8000), (np.zeros(0), 8000)],
)
def test_samples_without_a_fitting_rate_are_refused(
    trained: Callable[..., Run], samples: np.ndarray, rate: int | None
) -> None:
    with pytest.raises(HearlessError, match=r"samples must be \[time\] with their rate of at least 1000 Hz"):
        hearless.load(trained()).predict(samples, rate)


def test_what_cannot_be_heard_is_refused(trained: Callable[..., Run], tmp_path: Path) -> None:
    model = hearless.load(trained())
    with pytest.raises(HearlessError, match="samples must be finite"):
        model.predict(np.array([0.0, np.nan]), 8000)
    with pytest.raises(HearlessError, match=r"nowhere\.wav"):
        model.predict(tmp_path / "nowhere.wav")
    soundfile.write(tmp_path / "slow.wav", np.zeros(500), 500)
    with pytest.raises(HearlessError, match="1000 Hz or more, got 500"):
        model.predict(tmp_path / "slow.wav")


def test_what_is_too_short_for_the_network_is_refused(trained: Callable[..., Run], tmp_path: Path) -> None:
    model = hearless.load(trained())
    least_s = model.listener.least_s
    assert 0 < least_s < model.window_s
    n_samples = round(least_s * 8000)
    for n in (10, n_samples):
        soundfile.write(tmp_path / f"{n}.wav", np.full(n, 0.1), 8000)
    with pytest.raises(
        HearlessError, match=rf"10\.wav: the listener needs at least {least_s:g} s of sound, got 0.00125 s"
    ):
        model.predict(tmp_path / "10.wav")
    with pytest.raises(HearlessError, match=rf"samples must last at least {least_s:g} s, got 0.00125 s"):
        model.predict(np.full(10, 0.1), 8000)
    assert model.predict(tmp_path / f"{n_samples}.wav").keys() == model.predict(np.full(n_samples, 0.1), 8000).keys()


def test_folders_are_predicted_with_a_run_or_a_model(trained: Callable[..., Run], tiny: Path) -> None:
    run = trained()
    said = list(door.predict(run, tiny / "folders" / "hum", top=1))
    assert [len(one.ranked()) for one in said] == [1] * 8
    again = door.predict(hearless.load(run), [tiny / "folders" / "hum"])
    assert [one.scores.tolist() for one in again] == [one.scores.tolist() for one in said]


def test_loading_takes_a_run_its_folder_or_its_recipes_folder(trained: Callable[..., Run], tmp_path: Path) -> None:
    run = Run(shutil.copytree(trained().path, tmp_path / "recipe" / "fold1-seed0"))  # alone in its recipe's folder
    names = {hearless.load(place).name for place in (run, run.path, str(run.path), run.path.parent)}
    assert names == {"recipe/fold1-seed0"}
    for empty in (tmp_path, tmp_path / "missing"):
        with pytest.raises(HearlessError, match="holds no finished run; name a folder such as"):
            hearless.load(empty)
    table = tmp_path / "studies" / "rates"
    table.mkdir(parents=True)
    (table / "report.json").write_text("{}")
    with pytest.raises(HearlessError, match=r"holds a study's table and no runs; read .*report\.md"):
        hearless.load(table)


@pytest.fixture
def several(trained: Callable[..., Run], tmp_path: Path) -> Path:
    """Return a recipe's folder with the runs of three folds, one of them not finished."""
    folder = tmp_path / "recipe"
    for fold in (10, 2, 1):
        shutil.copytree(trained().path, folder / f"fold{fold}-seed0")
    (folder / "fold1-seed0" / "done.json").unlink()
    return folder


def test_of_several_runs_the_first_is_loaded_and_named(several: Path, tiny: Path) -> None:
    told = list[str]()
    assert hearless.load(several, say=told.append).name == "recipe/fold2-seed0"
    assert told == [f"{several} holds 2 runs, this is fold2-seed0; for another name its folder: {several}/fold10-seed0"]
    with pytest.warns(UserWarning, match="holds 2 runs, this is fold2-seed0") as warned:
        hearless.show(several, tiny / "audio" / "hum1.wav", several / "hum.png")
    assert len(warned) == 1
    hearless.load(several / "fold10-seed0", say=told.append)
    shutil.rmtree(several / "fold10-seed0")
    hearless.load(several, say=told.append)
    assert len(told) == 1


def test_of_several_runs_none_goes_on_a_device_unnoticed(several: Path) -> None:
    for device in (door.export, door.budget):
        with pytest.raises(HearlessError, match=r"holds 2 runs and this takes one; name .*: fold2-seed0, fold10-seed0"):
            device(several)
    counted = [door.budget(one).cost.parameters for one in (several / "fold10-seed0", Run(several / "fold2-seed0"))]
    assert counted[0] == counted[1] > 0


def test_an_unfinished_run_is_not_loaded(trained: Callable[..., Run], tmp_path: Path) -> None:
    half = shutil.copytree(trained().path, tmp_path / "recipe" / "fold1-seed0")
    (half / "done.json").unlink()
    for place in (half, half.parent):
        said = "holds no finished run, fold1-seed0 is unfinished: 1 of 1 epochs; the same train command goes on"
        for ask in (hearless.load, door.export):
            with pytest.raises(HearlessError, match=said):
                ask(place)


def test_a_run_whose_recipe_names_a_foreign_class_is_refused(trained: Callable[..., Run], tmp_path: Path) -> None:
    run = Run(shutil.copytree(trained().path, tmp_path / "recipe" / "fold1-seed0"))
    data = run.read("recipe.json")
    data["student"]["classifier"]["class"] = "os.system/Popen"
    run.write("recipe.json", data)
    with pytest.raises(HearlessError, match="never an import path"):
        hearless.load(run)


def test_several_labels_a_clip_are_scored_apart(tiny: Path, tiny_runs: Path) -> None:
    run = hearless.train(labels=tiny / "multi.csv", runs=tiny_runs, rate=2000, **SMALL)
    assert run.recipe.select == "max:mAP"
    assert run.recipe.stages[0].objectives[0].name == "BinaryDistillation"
    model = hearless.load(run)
    path = tiny / "audio" / "tick1.wav"
    samples, rate = soundfile.read(path)
    stored = Predictions.load(run.predictions("test"))
    logits = stored.logits[stored.ids.tolist().index("tick1.wav")] / model.calibration.temperature
    expected = dict(zip(model.labels, (1 / (1 + np.exp(-logits.astype(float)))).tolist(), strict=True))
    assert model.predict(samples, rate) == pytest.approx(expected, abs=1e-5)
    report = hearless.results([run.path])
    assert report.columns == ("mAP",)
    assert report.rows[0].metrics["mAP"].value == pytest.approx(
        evaluate.measures(stored, multi_label=True)["mAP"]
    )  # fmt: skip


# --- show -----------------------------------------------------------------------------------------------------------

LISTENER = PipelineSpec(
    spec(LowRate), spec(PreEmphasisMel, input_rate_hz=1000, bands=24), spec(MobileNetV3, width=0.2)
)  # fmt: skip
MASKED = replace(LISTENER, enhancer=spec(TimeFrequencyEnhancer, n_blocks=2, channels=4))
TRANSCODED = PipelineSpec(
    spec(ThirdOctave), spec(BandLevels), spec(MobileNetV3, width=0.2), spec(PINVTranscoder, target="pann")
)


def untrained(made: PipelineSpec, window_s: float = 0.5, *, multi_label: bool = False) -> hearless.Model:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return hearless.Model(made.build(3).eval(), ("hiss", "hum", "tick"), multi_label, window_s, "runs/fold1")


def by_hand(model: hearless.Model, samples: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the features and the scores of a model without enhancer or head in plain steps."""
    pipeline = model.pipeline
    with torch.no_grad():
        features = pipeline.frontend(pipeline.capture(torch.from_numpy(samples.astype(np.float32))[None], rate))
        seen = features if pipeline.enhancer is None else pipeline.enhancer(features)
        logits = pipeline.classifier(seen).logits[0].double().numpy() / model.calibration.temperature
    return features[0, 0].numpy(), np.exp(logits) / np.exp(logits).sum()


@pytest.fixture
def painted(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """Collect what matplotlib is given to draw."""
    values = []
    true = matplotlib.axes.Axes.imshow

    def imshow(place: object, image: np.ndarray, **options: object) -> object:
        values.append(image)
        return true(place, image, **options)

    monkeypatch.setattr(matplotlib.axes.Axes, "imshow", imshow)
    return values


def test_a_run_shows_what_it_hears(
    trained: Callable[..., Run], tiny: Path, tmp_path: Path, painted: list[np.ndarray]
) -> None:
    run, sound = trained(), tiny / "audio" / "hum3.wav"
    model = hearless.load(run)
    shown = hearless.show(run.path, sound, tmp_path / "hum.png")
    assert imread(shown.picture).shape[2] == 4
    features, scores = by_hand(model, *soundfile.read(sound))
    (drawn,) = painted
    np.testing.assert_allclose(drawn, features, atol=1e-5)
    assert [shown.scores[label] for label in model.labels] == pytest.approx(scores.tolist(), abs=1e-5)
    assert list(shown.scores.values()) == sorted(shown.scores.values(), reverse=True)
    assert shown.scores == pytest.approx(model.predict(sound), abs=2e-3)
    assert (shown.seconds, shown.end_s, shown.part) == (0.5, 0.5, "")


def test_a_mask_times_what_is_heard_is_what_the_classifier_sees(
    tiny: Path, tmp_path: Path, painted: list[np.ndarray]
) -> None:
    model, sound = untrained(MASKED), tiny / "audio" / "tick2.wav"
    shown = hearless.show(model, sound, tmp_path / "tick.png", top=2)
    heard, mask, enhanced = painted
    features, scores = by_hand(model, *soundfile.read(sound))
    np.testing.assert_allclose(heard, features, atol=1e-5)
    np.testing.assert_allclose(enhanced, heard * mask, rtol=1e-6)
    assert 0 < mask.min() < mask.max() < 1
    curves = mask.mean(axis=1)[:, None] * mask.mean(axis=0)[None] / mask.mean()  # of rank one, as paper 002 has it
    np.testing.assert_allclose(mask, curves, rtol=1e-5)
    assert list(shown.scores.values()) == pytest.approx(sorted(scores, reverse=True)[:2], abs=1e-6)
    assert [(layer.name.partition(":")[0], layer.unit) for layer in shown.layers] == [
        ("heard", "PreEmphasisMel feature"), ("mask", "factor"), ("enhanced", "PreEmphasisMel feature"),
    ]  # fmt: skip


def test_a_mask_that_is_silences_too_is_said_to_hear_nothing(tiny: Path, tmp_path: Path) -> None:
    assert MASKED.enhancer is not None
    hearing = replace(MASKED, enhancer=MASKED.enhancer.replace(initialisation="signal"))
    model, clip = untrained(hearing), tiny / "audio" / "tick2.wav"
    assert "nothing" not in hearless.show(model, clip, tmp_path / "tick.png").layers[1].name
    assert model.pipeline.enhancer is not None
    for name, parameter in model.pipeline.enhancer.named_parameters():
        if name.endswith("weight"):
            parameter.data.zero_()
    shown = hearless.show(model, clip, tmp_path / "tick.png")
    assert "silence's to 0e+00: it hears next to nothing" in shown.layers[1].name


def test_a_transcoder_shows_levels_and_what_it_makes_of_them(
    tiny: Path, tmp_path: Path, painted: list[np.ndarray]
) -> None:
    model, sound = untrained(TRANSCODED, 1.0), tiny / "audio" / "hiss0.wav"
    shown = model.show(sound, tmp_path / "hiss.png")
    samples, rate = soundfile.read(sound)
    levels, made = painted
    features, _ = by_hand(model, np.pad(samples, (0, rate - len(samples))), rate)
    np.testing.assert_allclose(levels, features, atol=1e-3)
    with torch.no_grad():
        expected = model.pipeline.enhancer(torch.from_numpy(levels)[None, None])[0, 0].numpy()
    np.testing.assert_array_equal(made, expected)
    assert (levels.shape, made.shape) == ((29, 8), (64, 101))
    assert [(layer.unit, layer.axes and layer.axes.band_hz[0]) for layer in shown.layers] == [
        ("level (dB)", pytest.approx(20, rel=0.02)), ("PINVTranscoder feature", pytest.approx(85, rel=0.3)),
    ]  # fmt: skip


def test_of_a_longer_file_the_first_window_is_shown(tmp_path: Path, painted: list[np.ndarray]) -> None:
    """At the model's own rate the scores are those that `predict` gives this window."""
    model, sound = untrained(LISTENER, multi_label=True), tmp_path / "long.wav"
    soundfile.write(sound, 0.1 * np.random.default_rng(0).standard_normal(16000 * 3), 16000, subtype="FLOAT")
    shown = hearless.show(model, sound, tmp_path / "long.png")
    (said,) = door.predict(model, sound, windows=True)
    assert shown.scores == pytest.approx(said.ranked(said.windows[0].scores), abs=1e-6)
    assert shown.part == "the first 0.5 s of 3 s"
    samples, rate = soundfile.read(sound)
    np.testing.assert_allclose(painted[0], by_hand(model, samples[:8000], rate)[0], atol=1e-5)
    assert shown.title(model.name).splitlines()[1] == "runs/fold1, the first 0.5 s of 3 s"
    assert shown.title("x" * 200).startswith("long.wav: ")


def test_a_picture_lies_in_the_current_folder_and_is_made_anew(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = untrained(LISTENER)
    assert model.show(tiny / "audio" / "hum1.wav").picture == Path("hum1.show.png")
    Path("hum1.show.png").write_bytes(b"")
    assert imread(model.show(tiny / "audio" / "hum1.wav").picture).shape[2] == 4
    assert [path.name for path in tmp_path.iterdir()] == ["hum1.show.png"]


def test_what_cannot_be_shown_is_refused(tiny: Path, tmp_path: Path) -> None:
    sound, path = tiny / "audio" / "hum1.wav", tmp_path / "a.png"
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    soundfile.write(tmp_path / "slow.wav", np.zeros(500), 500)
    model = untrained(MASKED)
    for wrong, said in (
        (tmp_path / "broken.wav", "broken.wav is not a sound file"),
        (tmp_path / "none.wav", "does not exist"),
        (tmp_path, "got a folder"),
        (tmp_path / "slow.wav", "slow.wav: LowRate: a waveform at 500 Hz cannot be captured"),
    ):
        with pytest.raises(HearlessError, match=said):
            model.show(wrong, path)
    with pytest.raises(HearlessError, match="holds no finished run"):
        hearless.show(tmp_path, sound, path)
    with pytest.raises(HearlessError, match="top must be at least 1, got 0"):
        model.show(sound, path, top=0)
    assert not path.exists()


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("enhancer", r"hum1\.wav: TimeFrequencyEnhancer: a mask must be finite"),
        ("classifier", r"hum1\.wav: runs/fold1: logits must be finite, got nan or inf; check"),
    ],
)
def test_a_network_of_nan_is_refused(tiny: Path, tmp_path: Path, part: str, said: str) -> None:
    model = untrained(MASKED)
    with torch.no_grad():
        for parameter in getattr(model.pipeline, part).parameters():
            parameter.fill_(float("nan"))
    with pytest.raises(HearlessError, match=said):
        model.show(tiny / "audio" / "hum1.wav", tmp_path / "a.png")
    assert not list(tmp_path.iterdir())
    if part == "classifier":
        with pytest.raises(HearlessError, match="logits must be finite"):
            model.predict(np.zeros(4000), 8000)


def test_what_is_shown_is_plain_json(tiny: Path, tmp_path: Path) -> None:
    shown = untrained(MASKED).show(tiny / "audio" / "hum1.wav", tmp_path / "a.png", top=1)
    found = json.loads(json.dumps(shown.to_json()))
    assert (found["path"], found["picture"]) == (str(tiny / "audio" / "hum1.wav"), str(tmp_path / "a.png"))
    heard, mask, enhanced = found["layers"]
    assert (heard, enhanced) == ("heard: PreEmphasisMel", "enhanced: heard × mask")
    assert re.match(r"mask: TimeFrequencyEnhancer, 0\.\d\d to 0\.\d\d", mask)
    assert len(found["scores"]) == 1


# --- data sets, recipes, settings -----------------------------------------------------------------------------------


def test_data_sets_are_named_by_table_folder_or_name(tiny: Path, tmp_path: Path) -> None:
    data, folder = door.dataset(labels=tiny / "meta.csv", root=tiny / "audio", mapping={"label": "kind"})
    assert (data.arguments["table"], data.arguments["label"], folder) == ("../meta.csv", "kind", tiny / "audio")
    assert len(data.build().clips(folder)) == 24
    data, folder = door.dataset(root=tiny / "folders", mapping={"group_pattern": "^(.)", "n_folds": "3"})
    assert {clip.fold for clip in data.build().clips(folder)} == {"1", "2", "3"}
    assert door.dataset("esc50") == (door.dataset("ESC50")[0], Path("data/esc50"))
    assert door.dataset("csv_labels", root=tiny)[0].name == "CsvLabels"
    to_be_made = tmp_path / "sounds"
    assert door.dataset("synthetic", root=to_be_made)[1] == to_be_made
    with pytest.raises(HearlessError, match=r"root must be the folder of the sounds, got .*sounds, which is no folder"):
        door.dataset(labels=tiny / "meta.csv", root=to_be_made)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({}, "name your sounds: --labels"),
        ({"name": "esc49"}, "dataset must be one of .*esc50.*, got 'esc49'"),
        ({"labels": "nowhere.csv"}, r"labels must be a CSV file, got nowhere\.csv"),
        ({"root": ".", "mapping": {"colour": "red"}}, "datasets/FolderLabels: .*colour"),
        ({"root": ".", "mapping": {"n_folds": "many"}}, "n_folds must be int, got 'many'"),
    ],
)
def test_unknown_data_are_refused(words: dict[str, str], said: str) -> None:
    with pytest.raises(HearlessError, match=said):
        door.dataset(**words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"method": "magic"}, r"'low_rate/magic' is no recipe; known are low_rate/bandwidth_extended, .*full_band"),
        ({"method": "table1"}, "'low_rate/table1' is no recipe"),
        ({"backbone": "mn99"}, "backbone must be one of .*mn04.*, got 'mn99'"),
        ({"rate": 100}, "rate_hz must be at least 250, got 100"),
        ({"rate": 44100}, "rate must be at most 16000 Hz"),
        ({"rate": 9000}, "24 of 24 files were recorded below it"),
        ({"epoch": 3}, r"settings are multi_label, epochs, .*; got epoch\."),
        ({"epochs": "many"}, "epochs must be int, got 'many'"),
        ({"epochs": 1.5}, "epochs must be int, got 1.5"),
        ({"roll": "perhaps"}, "roll must be yes or no, got 'perhaps'"),
        ({"alpha": 7.0}, r"alpha must lie in 0\.\.1, got 7"),
        ({"fold": "9"}, "fold must be one of 1, 2, got '9'"),
        ({"weights": "nowhere.pt"}, "weights must be a file, 'none', or left out"),
        ({"backbone": "mn04"}, "hearless fetch mn04"),
    ],
)
def test_bad_words_are_refused_before_any_epoch(
    tiny: Path, tmp_path: Path, words: dict[str, object], said: str
) -> None:
    with pytest.raises(HearlessError, match=said):
        hearless.train(**{"labels": tiny / "meta.csv", "runs": tmp_path, **SMALL, **words})
    assert not list(tmp_path.rglob("metrics.jsonl"))


def test_a_study_of_one_recipe_is_refused(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(
        HearlessError,
        match=r"no study \(it is a recipe: hearless train --method low_rate/cssd\); known are .*low_rate/table1",
    ):
        hearless.study("low_rate/cssd", labels=tiny / "meta.csv", runs=tmp_path)
    with pytest.raises(HearlessError, match="'table9' is no study"):
        hearless.study("table9", labels=tiny / "meta.csv", runs=tmp_path)


def test_an_analysis_tells_its_own_words_too(tiny: Path, tmp_path: Path) -> None:
    said = r"low_rate/sensitivity takes alphas, .*, storage beside its settings; .*, epochs, .*; got trails"
    with pytest.raises(HearlessError, match=said):
        hearless.study("low_rate/sensitivity", labels=tiny / "meta.csv", runs=tmp_path, trails=3)


def test_a_tampered_weights_file_is_refused(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARLESS_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "cache" / "weights" / weights_table()["mn04"][1].remote.filename
    file.parent.mkdir(parents=True)
    file.write_bytes(b"tampered")
    with pytest.raises(HearlessError, match=f"{file.name}.*[Ss][Hh][Aa]"):
        hearless.train(labels=tiny / "meta.csv", runs=tmp_path, **{**SMALL, "backbone": "mn04"})
    with pytest.raises(HearlessError, match=r"must be a whole .* weights file"):
        hearless.load_weights(file)


def test_fetching_an_unknown_name_lists_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(HearlessError, match=r"is called 'mn03'; weights: .*mn04.*; data sets: .*esc50"):
        door.fetch("mn03", tmp_path)
    said: list[str] = []
    assert door.fetch("synthetic", tmp_path, say=said.append) == []
    assert "nothing to download" in said[0]


# --- reports --------------------------------------------------------------------------------------------------------


def test_a_report_names_runs_as_short_as_tells_them_apart(trained: Callable[..., Run], tmp_path: Path) -> None:
    one, two, other = trained(), trained(fold="2"), trained(method="fine_tuned")
    longer = trained(epochs=2, method="fine_tuned")
    short = "cssd-1000Hz-alpha0.5-T4"
    assert names(one.path) == [short]
    assert names(one, other) == [short, "fine_tuned-1000Hz"]
    assert names(one, two) == [f"{short}, fold 1, seed 0", f"{short}, fold 2, seed 0"]
    assert names(other, longer) == [f"{run.path.parent.name}, fold 1, seed 0" for run in (other, longer)]
    assert names(one.path.parent, other) == [short, "fine_tuned-1000Hz"]
    copied = Path(shutil.copytree(one.path, tmp_path / "elsewhere" / one.path.parent.name / one.path.name))
    apart = names(one.path, copied)
    assert [Path(name).is_absolute() for name in apart] == [False, False]
    assert apart[1].endswith(f"elsewhere/{one.path.parent.name}/{one.path.name}")
    both = hearless.results([one.path.parent])
    assert both.rows[0].condition == {"tested on": "folds 1, 2, seed 0"}
    assert both.rows[0].metrics["accuracy"].n == 24


def names(*runs: Run | Path) -> list[str]:
    return [row.label for row in hearless.results(list(runs)).rows]


def test_two_runs_are_compared_on_the_same_clips(trained: Callable[..., Run]) -> None:
    report = hearless.results([trained(), trained(method="fine_tuned")], compare=True)
    (test,) = report.tests
    assert (test.paired.n, test.paired.n_recordings) == (12, 6)
    values = [row.metrics["accuracy"].value for row in report.rows]
    assert (test.paired.value_a, test.paired.value_b) == pytest.approx(values)
    told = [note for note in report.notes if "differ" in note]
    assert len(told) == 1
    assert (
        "stages.0.objectives.0 (objectives/SelfDistillation, objectives/CrossEntropy); teacher (Trained, none)"
        in told[0]
    )


def test_what_sets_two_runs_of_one_recipe_apart_is_told(trained: Callable[..., Run]) -> None:
    report = hearless.results([trained(method="fine_tuned"), trained(epochs=2, method="fine_tuned")], compare=True)
    assert "Their recipes differ in stages.0.epochs (1, 2)." in report.notes
    same = [trained(method="fine_tuned"), trained(method="fine_tuned", fold="2").path.parent]
    assert not [note for note in hearless.results(same, compare=True).notes if "differ" in note]


def test_runs_are_compared_where_both_were_tested(trained: Callable[..., Run], tmp_path: Path) -> None:
    one, other = trained(), trained(method="fine_tuned", seed=1)
    assert len(hearless.results([one, other]).rows) == 2
    with pytest.raises(HearlessError, match=r"must share a fold and a seed to be compared, got .*seed 0 and .*seed 1"):
        hearless.results([one, other], compare=True)
    trained(method="fine_tuned", seed=0)
    report = hearless.results([one, other.path.parent], compare=True)
    assert report.notes[0] == "Compared on what both have: fold 1, seed 0."
    assert [row.condition["tested on"] for row in report.rows] == ["fold 1, seed 0"] * 2
    assert {row.metrics["accuracy"].n for row in report.rows} == {12}


def test_runs_whose_training_is_not_over_are_named(several: Path) -> None:
    report = hearless.results([several])
    assert "Left out, for their training is not over: recipe/fold1-seed0." in report.notes


def test_runs_that_cannot_stand_in_one_table_are_refused(trained: Callable[..., Run]) -> None:
    run = trained(method="fine_tuned")
    other = trained(method="fine_tuned", mapping={"label": "kind"})
    with pytest.raises(HearlessError, match="must share their classes"):
        hearless.results([run, other])
    with pytest.raises(HearlessError, match="each run must be named once"):
        hearless.results([run, run.path])
    with pytest.raises(HearlessError, match="each run must be named once, got none"):
        hearless.results([])


def test_a_picture_shows_each_rate(tmp_path: Path) -> None:
    data = spec(Synthetic, n_per_class=4, n_folds=2, duration_s=0.5)
    path = door.picture(Lab(tmp_path / "runs", tmp_path), tmp_path / "hearing.png", data, (16000, 1000))
    assert path.read_bytes().startswith(b"\x89PNG")


# --- real weights and recordings ------------------------------------------------------------------------------------


@pytest.mark.data
@pytest.mark.parametrize("backbone", [None, "mn04"])
def test_published_weights_alone_name_a_dog(shared: Path, backbone: str | None) -> None:
    model = hearless.load_weights(shared / "weights" / "mn04_audioset" / "mn04_as_mAP_432.safetensors", backbone)
    assert len(model.labels) == 527
    scores = model.predict(shared / "data" / "esc50_subset_16k" / "audio" / "1-100032-A-0.flac")
    assert {"Dog", "Animal"} & set(list(scores)[:3])


@pytest.mark.data
def test_published_weights_start_a_training(shared: Path, tiny: Path, tmp_path: Path) -> None:
    file = shared / "weights" / "mn04_audioset" / "mn04_as_mAP_432.safetensors"
    words = {**SMALL, "backbone": "mn04", "weights": file, "learning_rate": 1e-12, "method": "fine_tuned"}
    run = hearless.train(labels=tiny / "meta.csv", runs=tmp_path, **words)
    published = door.load_weights(file).pipeline.classifier.state_dict()
    own = hearless.load(run).pipeline.classifier.state_dict()
    learned = [key for key in own if own[key].shape == published[key].shape and "running" not in key]
    close = [key for key in learned if torch.allclose(own[key].float(), published[key].float(), atol=1e-5)]
    assert len(close) >= len(learned) - 60  # the counts of batches differ
    assert {key for key in own if own[key].shape != published[key].shape} == {
        "classifier.5.weight", "classifier.5.bias",
    }  # fmt: skip
    moved = tmp_path / "elsewhere.safetensors"
    shutil.copyfile(file, moved)
    again = hearless.train(labels=tiny / "meta.csv", runs=tmp_path, **{**words, "weights": moved})
    assert again.path == run.path


@pytest.mark.parametrize("kind", [np.int16, np.int32])
def test_whole_numbers_are_samples_by_their_full_scale(trained: Callable[..., Run], kind: type[np.integer]) -> None:
    model = hearless.load(trained())
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 4000)
    whole = np.round(samples * -float(np.iinfo(kind).min)).astype(kind)
    expected = model.predict(whole / -float(np.iinfo(kind).min), rate=8000)
    assert model.predict(whole, rate=8000) == pytest.approx(expected, abs=1e-6)


def test_samples_of_another_kind_are_refused(trained: Callable[..., Run]) -> None:
    with pytest.raises(HearlessError, match="must be float, int16 or int32, got uint8"):
        hearless.load(trained()).predict(np.zeros(4000, np.uint8), rate=8000)
