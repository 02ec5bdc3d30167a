"""The command line, as people type it: what it prints, writes and refuses, and with which exit code."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import Result
from typer.testing import CliRunner

from hearless import cli, door
from hearless.cli.tables import show
from hearless.lab import Lab
from hearless.report import Report, Row
from hearless.run import Run
from hearless.statistics import Measure

pytestmark = pytest.mark.usefixtures("cached")

SMALL = ["--backbone", "mn02", "--set", "epochs=1", "--set", "batch_size=8", "--set", "validation=0.3"]
CSSD = "cssd-1000Hz-alpha0.5-T4"


def hearless(*words: object, code: int = 0) -> Result:
    """Type a command and check its exit code; no traceback ever."""
    result = CliRunner().invoke(cli.app, [str(word) for word in words], env={"COLUMNS": "100"})
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


@pytest.fixture
def train(tiny: Path, tiny_runs: Path) -> Callable[..., Result]:
    def typed(*words: object, code: int = 0, runs: Path = tiny_runs, table: str = "meta.csv") -> Result:
        return hearless("train", "--labels", tiny / table, "--runs", runs, *SMALL, *words, code=code)

    return typed


@pytest.fixture
def model(train: Callable[..., Result]) -> Path:
    """Return the folder of a trained run."""
    return Path(json.loads(train("--json").stdout)["runs"][0])


# --- help and lists -------------------------------------------------------------------------------------------------


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from hearless import cli\n"
        "try: cli.app(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'numpy', 'scipy', 'soundfile', 'rich.progress', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    commands = ("list", "fetch", "train", "study", "evaluate", "compare", "predict", "listen", "levels", "show", "demo")
    for command in commands:
        assert f"  {command} " in done.stdout


@pytest.mark.parametrize(
    "command", ["train", "study", "predict", "listen", "levels", "show", "evaluate", "compare", "fetch", "list", "demo"]
)
def test_every_command_explains_itself(command: str) -> None:
    assert "Usage: " in hearless(command, "--help").stdout


def test_list_shows_what_there_is() -> None:
    text = hearless("list").stdout
    assert "datasets: CsvLabels" in text
    assert "low_rate/table1" in text
    assert "Next: hearless demo" in text
    assert "  low_rate/cssd: " in text.partition("studies (hearless study NAME):")[0]
    assert "  low_rate/power: " in text.partition("studies (hearless study NAME):")[2]
    found = json.loads(hearless("list", "--json").stdout)
    assert found == {name: list(values) for name, values in door.contents().items()}


# --- train ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["full_band", "fine_tuned", "basd", "cssd", "dkd"])
def test_every_method_trains_on_a_users_table(train: Callable[..., Result], method: str) -> None:
    rate = () if method == "full_band" else ("--rate", 1000)
    (folder,) = json.loads(train("--method", method, *rate, "--json").stdout)["runs"]
    assert f"low_rate-{method}" in folder
    text = train("--method", method).stdout
    assert f"The model: {folder}" in text
    assert f"hearless predict {folder} MY_SOUNDS/" in text
    assert "--folds all" in text
    assert ("--method fine_tuned" in text) == (method in ("basd", "cssd", "dkd"))
    assert "accuracy (%)" in text


def test_training_tells_what_it_does_and_asking_twice_trains_nothing(
    train: Callable[..., Result], tmp_path: Path
) -> None:
    first = train(runs=tmp_path)
    notice, *trained = [line for line in first.stderr.splitlines() if line.strip()]
    assert notice == "the recordings hold 8000 Hz, not 16000: what lies above 4000 Hz stays silent."
    assert [line.partition("-")[0] for line in trained] == ["trains low_rate"] * 2
    again = train(runs=tmp_path)
    assert "trains" not in again.stderr
    assert again.stdout == first.stdout


def test_a_user_is_told_where_noise_is_given_a_class(train: Callable[..., Result], tmp_path: Path) -> None:
    words = ["--method", "fine_tuned"]
    (path,) = json.loads(train(*words, "--json", runs=tmp_path).stdout)["runs"]
    run = Run(Path(path))
    for share, is_told in ((0.5, True), (0.05, False)):
        run.write("measured.json", {**run.measured, "noise_named": {"silence": share, "white": share}})
        text = train(*words, runs=tmp_path).stdout
        assert (
            "it gives 50% of silence and noise a class: the same command with --set background=0.1" in text
        ) is is_told


def test_all_folds_are_trained_and_shown(train: Callable[..., Result]) -> None:
    train("--method", "fine_tuned", "--seed", "1")
    found = json.loads(train("--method", "fine_tuned", "--folds", "all", "--json").stdout)
    assert [Path(path).name for path in found["runs"]] == ["fold1-seed0", "fold2-seed0"]
    (row,) = found["report"]["rows"]
    assert row["metrics"]["accuracy"]["n"] == 24
    assert set(row["per_fold"]) == {"1", "2"}
    text = train("--method", "fine_tuned", "--folds", "1, 2").stdout
    assert "Tested on: folds 1, 2, seed 0." in text
    assert "--folds all" not in text


def test_folders_of_classes_are_a_data_set(tiny: Path, tmp_path: Path) -> None:
    words = ["--root", tiny / "folders", "--runs", tmp_path, "--method", "fine_tuned", "--map", "n_folds=2", *SMALL]
    (run,) = json.loads(hearless("train", *words, "--json").stdout)["runs"]
    assert Run(Path(run)).measured["labels"] == ["hiss", "hum", "tick"]
    assert Run(Path(run)).recipe.dataset.arguments["n_folds"] == 2


def test_columns_are_mapped(train: Callable[..., Result]) -> None:
    (run,) = json.loads(train("--map", "label=kind", "--method", "fine_tuned", "--json").stdout)["runs"]
    assert Run(Path(run)).measured["labels"] == ["loud", "soft"]


def test_several_labels_a_clip_are_scored_by_map(train: Callable[..., Result]) -> None:
    text = train("--method", "fine_tuned", table="multi.csv").stdout
    assert "mAP (%)" in text
    assert "accuracy" not in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--method", "magic"], "'low_rate/magic' is no recipe; known are low_rate/bandwidth_extended, low_rate/basd"),
        (["--backbone", "mn99"], "backbone must be one of"),
        (["--folds", "7"], "folds must be among 1, 2, got 7"),
        (["--map", "label=colour"], "no column 'colour' for label"),
        (["--map", "label"], "settings and columns are name=value, got label"),
        (["--set", "epochs"], "settings and columns are name=value, got epochs"),
        (["--set", "epoch=3"], "did you mean epochs? settings are multi_label, epochs"),
        (["--set", "colour=red"], "hearless: settings are multi_label, epochs"),
        (
            ["--method", "ds_flexinet"],
            "'ds_flexinet' is no recipe; known are ds_flexinet/student, ds_flexinet/student_int8",
        ),
        (["--set", "rate=2000"], "--set rate=…: that has an option of its own"),
        (["--rate", "20"], "at least 250, got 20"),
        (["--rate", "9000"], "lower --rate"),
        (["--rate", "1000", "--method", "full_band"], "full_band, which takes none of its own, got 1000; leave it out"),
        (["--weights", "nowhere.pt"], "weights must be a file, 'none'"),
        (["--torch-device", "cdua"], "torch_device must be one that this machine has"),
        (["--backbone", "mn04"], "hearless fetch mn04"),
    ],
)
def test_bad_words_end_in_a_sentence(train: Callable[..., Result], tmp_path: Path, words: list[str], said: str) -> None:
    result = train(*words, code=1, runs=tmp_path)
    assert result.stderr.startswith("hearless: ")
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_no_data_ends_in_a_sentence(tmp_path: Path) -> None:
    assert "name your sounds: --labels TABLE.csv, --root" in hearless("train", code=1).stderr
    assert "labels must be a CSV file" in hearless("train", "--labels", tmp_path / "no.csv", code=1).stderr
    assert "no folders" in hearless("train", "--root", tmp_path, code=1).stderr


def test_a_full_disk_ends_in_a_sentence(
    train: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*words: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert "No space left on device" in train(code=1, runs=tmp_path).stderr


def test_an_interrupt_says_how_to_go_on(
    train: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*words: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Lab, "_make", interrupted)
        assert "type the same command again to go on" in train(code=130, runs=tmp_path).stderr
    train(runs=tmp_path)


# --- evaluate and compare -------------------------------------------------------------------------------------------


def test_evaluate_shows_folds_and_classes(model: Path, tmp_path: Path) -> None:
    result = hearless("evaluate", model, "--out", tmp_path / "out")
    for words in (
        CSSD,
        "accuracy (%) per fold",
        "accuracy (%) per class",
        "hiss",
        "tick",
        "Tested on: fold 1, seed 0.",
    ):
        assert words in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"report.md", "report.csv", "report.json"}
    stored = json.loads((tmp_path / "out" / "report.json").read_text())
    again = json.loads(hearless("evaluate", model, "--json").stdout)
    assert again["rows"] == stored["rows"]


def test_evaluate_says_how_far_scores_can_be_trusted(model: Path) -> None:
    measured = Run(model).measured
    assert set(measured["noise_named"]) == {"silence", "white", "pink", "brown"}
    text = hearless("evaluate", model).stdout
    for words in (
        "temperature", "calibration error before (%)", "log loss, calibrated (nats)",
        "none of these below (%)", "test clips given a class (%)", "noise given a class (%)",
    ):  # fmt: skip
        assert words in text
    (row,) = json.loads(hearless("evaluate", model, "--json").stdout)["rows"]
    assert row["metrics"]["temperature"]["value"] == pytest.approx(measured["temperature"])
    assert {"ece", "ece_raw", "log_loss", "log_loss_raw"} <= set(row["metrics"])


def test_which_of_several_runs_is_taken_is_said_or_asked(
    model: Path, sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What listens takes the first run and says so on stderr; what fills a device refuses and lists them."""
    monkeypatch.chdir(tmp_path)
    recipe, sound = tmp_path / "recipe", sounds / "hum1.wav"
    for fold in (1, 2):
        shutil.copytree(model, recipe / f"fold{fold}-seed0")
    said = f"{recipe} holds 2 runs, this is fold1-seed0; for another name its folder: {recipe}/fold2-seed0"
    for words in (["predict", recipe, sound], ["show", recipe, sound], ["listen", recipe, "--from", sound]):
        assert hearless(*words).stderr.splitlines().count(said) == 1
    assert hearless("show", recipe, model, sound).stderr.splitlines().count(said) == 1
    assert [json.loads(hearless("predict", recipe, sound, "--json").stdout)[0]["path"]] == [str(sound)]
    assert "fold1-seed0; for" not in hearless("predict", recipe / "fold2-seed0", sound).stderr
    for words in (["export", recipe, "--root", tmp_path], ["budget", recipe]):
        assert f"name one of them, as {recipe}/fold1-seed0: fold1-seed0, fold2-seed0" in hearless(*words, code=1).stderr
    assert "Tested on: fold 1, seed 0." in hearless("evaluate", recipe).stdout


def test_reading_an_old_run_changes_nothing_in_its_folder(model: Path, sounds: Path, tmp_path: Path) -> None:
    """Its calibration, which runs of old have not stored, is fitted in memory; the table tells it all the same."""
    old = Path(shutil.copytree(model, tmp_path / "recipe" / "fold1-seed0"))
    kept = {"temperature", "thresholds", "none_below", "noise_named"}
    Run(old).write("measured.json", {name: value for name, value in Run(model).measured.items() if name not in kept})
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in old.rglob("*") if path.is_file()}
    (row,) = json.loads(hearless("evaluate", old, "--json").stdout)["rows"]
    assert row["metrics"]["temperature"]["value"] == pytest.approx(Run(model).measured["temperature"])
    hearless("compare", old, model)
    hearless("predict", old, sounds / "hum1.wav")
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in old.rglob("*") if path.is_file()} == before


def test_what_is_none_of_the_classes_is_said(model: Path, sounds: Path, tmp_path: Path) -> None:
    strict = tmp_path / "copy" / "fold1-seed0"
    shutil.copytree(model, strict)
    Run(strict).write("measured.json", {**Run(model).measured, "none_below": 1.0})
    text = hearless("predict", strict, sounds / "hum1.wav", "--windows").stdout
    assert text.count("none of these (") == 2
    assert "none of these" not in hearless("predict", strict, sounds / "hum1.wav", "--json").stdout
    (said,) = json.loads(hearless("predict", strict, sounds / "hum1.wav", "--json").stdout)
    assert said["named"] == []


def test_compare_says_which_is_better(train: Callable[..., Result], model: Path) -> None:
    (other,) = json.loads(train("--method", "fine_tuned", "--json").stdout)["runs"]
    text = hearless("compare", model, other).stdout
    assert f"- {CSSD} against fine_tuned-1000Hz on 12 clips of 6 recordings: accuracy" in text
    (test,) = json.loads(hearless("compare", model, other, "--json").stdout)["tests"]
    assert test["paired"]["n"] == 12
    assert 0 < test["p_mcnemar"] <= 1


def test_what_is_no_run_is_said(model: Path, tmp_path: Path) -> None:
    assert "holds no finished run; name a folder" in hearless("evaluate", tmp_path, code=1).stderr
    assert "each run must be named once" in hearless("compare", model, model, code=1).stderr


def test_tables_fit_the_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """No label and no number is cut at 80 columns; columns that the labels tell are left out, shared ones said once."""
    monkeypatch.setenv("COLUMNS", "80")
    measure = Measure(0.702, 0.655, 0.749, 840)
    labels = {"16 kHz": "full band", "fine-tuned, 1 kHz": "fine-tuned", "CSSD, 1 kHz": "CSSD"}
    rows = tuple(
        Row(
            label, {"rate": label.rpartition(", ")[2], "method": method, "network": "mn04", "bands": bands},
            {"accuracy": measure, "macro_f1": measure}, published={"accuracy": 0.485},
        )
        for (label, method), bands in zip(labels.items(), ("128", "24", "24"), strict=True)
    )  # fmt: skip
    show(Report("Title", "A task.", ("accuracy", "macro_f1"), rows))
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    for words in (*labels, "70.2 [65.5, 74.9]", "48.5", "bands"):
        assert words in text
    assert "…" not in text
    assert text.splitlines()[-1] == "A task. Network: mn04."
    assert "full band" not in text


# --- predict --------------------------------------------------------------------------------------------------------


@pytest.fixture
def sounds(tiny: Path, tmp_path: Path) -> Path:
    """Return a folder with two sounds, a broken one, and something else."""
    folder = tmp_path / "sounds"
    folder.mkdir()
    for name in ("hum1.wav", "tick1.wav"):
        shutil.copyfile(tiny / "audio" / name, folder / name)
    (folder / "broken.wav").write_bytes(b"RIFF")
    (folder / "notes.txt").write_text("no sound")
    return folder


def test_predict_goes_on_around_a_broken_file(model: Path, sounds: Path, tiny: Path) -> None:
    result = hearless("predict", model, sounds, tiny / "audio" / "hiss1.wav", code=1)
    lines = result.stdout.splitlines()
    assert [Path(line.split(": ")[0]).name for line in lines] == ["hum1.wav", "tick1.wav", "hiss1.wav"]
    assert all(sum(label in line for label in ("hiss ", "hum ", "tick ")) == 3 for line in lines)
    assert f"{sounds / 'broken.wav'}: could not be read" in result.stderr
    assert "1 file could not be read; the others are done" in result.stderr
    assert hearless("predict", model, sounds / "hum1.wav").stderr == ""
    missing = hearless("predict", model, sounds / "hum1.wav", sounds / "missing.wav", code=1)
    assert missing.stdout.startswith(f"{sounds / 'hum1.wav'}: ")
    assert "missing.wav: could not be read" in missing.stderr


def test_predict_writes_a_table(model: Path, sounds: Path, tmp_path: Path) -> None:
    result = hearless("predict", model, sounds, "--csv", tmp_path / "out.csv", "--top", 1, code=1)
    assert "out.csv written" in result.stdout
    assert "broken.wav: could not be read" in result.stderr
    with (tmp_path / "out.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(Path(row["path"]).name, bool(row["label"]), bool(row["error"])) for row in rows] == [
        ("broken.wav", False, True), ("hum1.wav", True, False), ("tick1.wav", True, False),
    ]  # fmt: skip


def test_predict_prints_json_and_windows(model: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.wav", 0.1 * np.random.default_rng(0).standard_normal(9600), 8000)
    (said,) = json.loads(hearless("predict", model, tmp_path, "--json", "--windows", "--hop", 0.25).stdout)
    assert said["seconds"] == pytest.approx(1.2)
    assert [window["start_s"] for window in said["windows"]][:3] == [0, 0.25, 0.5]
    assert sum(said["scores"].values()) == pytest.approx(1)
    text = hearless("predict", model, tmp_path, "--windows").stdout
    assert "  0.0–0.5 s: " in text
    assert "  1.0–1.2 s: " in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["MODEL"], "name a model, then the sounds: hearless predict"),
        (["nowhere", "SOUNDS"], "nowhere holds no finished run"),
        (["MODEL", "EMPTY"], "no sound file"),
        (["MODEL", "SOUNDS", "--hop", "9"], "hop_s must be above 0"),
        (["MODEL", "SOUNDS", "--top", "0"], "top must be at least 1"),
        (["MODEL", "SOUNDS", "--csv", "EMPTY/no/where.csv"], "No such file or directory"),
        (["MODEL", "SOUNDS", "--csv", "x.csv", "--json"], "choose --csv FILE or --json"),
        (["SOUNDS", "--weights", "SOUNDS/notes.txt"], "notes.txt"),
        (["SOUNDS", "--weights", "nowhere.pt"], "weights must be a file"),
    ],
)
def test_predict_refuses_in_a_sentence(model: Path, sounds: Path, tmp_path: Path, words: list[str], said: str) -> None:
    (tmp_path / "empty").mkdir()
    places = {"MODEL": str(model), "SOUNDS": str(sounds), "EMPTY": str(tmp_path / "empty")}
    typed = [places.get(word, word) for word in words]
    typed = [word.replace("SOUNDS/", f"{sounds}/").replace("EMPTY/", f"{tmp_path}/empty/") for word in typed]
    result = hearless("predict", *typed, code=1)
    assert result.stderr.startswith("hearless: ")
    assert said in result.stderr


@pytest.mark.data
def test_weights_stand_in_the_models_place(shared: Path) -> None:
    folder = shared / "data" / "esc50_subset_16k" / "audio"
    clips = [folder / "1-100032-A-0.flac", folder / "1-110389-A-0.flac"]
    weights = shared / "weights" / "mn04_audioset" / "mn04_as_mAP_432.safetensors"
    said = json.loads(hearless("predict", "--weights", weights, *clips, "--json").stdout)
    assert len(said) == 2
    for one in said:
        assert {"Dog", "Animal"} & set(one["scores"])


# --- show -----------------------------------------------------------------------------------------------------------


def test_show_draws_and_says_what_to_type_next(model: Path, sounds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sounds.parent)
    result = hearless("show", model, sounds / "hum1.wav", "--top", 2)
    assert (sounds.parent / "hum1.show.png").read_bytes().startswith(b"\x89PNG")
    assert "The picture: hum1.show.png" in result.stdout
    assert "- heard: PreEmphasisMel, 24 bands × 50 frames" in result.stdout
    assert f"hearless predict {model} {sounds / 'hum1.wav'} --windows" in result.stdout
    assert f"hearless evaluate {model}" in result.stdout
    (said,) = json.loads(hearless("predict", model, sounds / "hum1.wav", "--top", 2, "--json").stdout)
    rows = [line.split() for line in result.stdout.splitlines() if line.strip().startswith(("hiss ", "hum ", "tick "))]
    assert [row[0] for row in rows] == list(said["scores"])
    assert [float(row[1]) for row in rows] == pytest.approx(list(said["scores"].values()), abs=0.01)
    assert result.stderr == ""


def test_show_prints_json_and_says_what_part_it_drew(model: Path, tmp_path: Path) -> None:
    sound, out = tmp_path / "long.wav", tmp_path / "pictures" / "long.svg"
    soundfile.write(sound, 0.1 * np.random.default_rng(0).standard_normal(9600), 8000)
    found = json.loads(hearless("show", model, sound, "--out", out, "--json").stdout)
    assert (found["picture"], found["seconds"], found["end_s"]) == (str(out), 1.2, 0.5)
    assert sum(found["scores"].values()) == pytest.approx(1)
    assert "<svg" in out.read_text()
    assert "the first 0.5 s of 1.2 s" in hearless("show", model, sound, "--out", out).stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["MODEL"], "name a model, then the sounds: hearless show"),
        (["nowhere", "SOUNDS/hum1.wav"], "nowhere holds no finished run"),
        (["MODEL", "SOUNDS/broken.wav"], "broken.wav is not a sound file"),
        (["MODEL", "SOUNDS"], "must be a sound file, got a folder"),
        (["MODEL", "SOUNDS/hum1.wav", "SOUNDS/tick1.wav"], "one sound at a time, got "),
        (["MODEL", "MODEL", "SOUNDS/hum1.wav"], "each model must be named once"),
        (["MODEL", "SOUNDS/hum1.wav", "--top", "0"], "top must be at least 1"),
        (["MODEL", "SOUNDS/hum1.wav", "--out", "SOUNDS/hum1.docx"], "hum1.docx could not be written"),
        (["SOUNDS/hum1.wav", "--weights", "nowhere.pt"], "weights must be a file"),
    ],
)
def test_show_refuses_in_a_sentence(model: Path, sounds: Path, words: list[str], said: str) -> None:
    typed = [word.replace("MODEL", str(model)).replace("SOUNDS", str(sounds)) for word in words]
    result = hearless("show", *typed, code=1)
    assert result.stderr.startswith("hearless: ")
    assert said in result.stderr
    assert {path.suffix for path in sounds.iterdir()} == {".wav", ".txt"}


@pytest.mark.data
def test_weights_alone_show_a_sound(shared: Path, tmp_path: Path) -> None:
    weights = shared / "weights" / "mn04_audioset" / "mn04_as_mAP_432.safetensors"
    clip = shared / "data" / "esc50_subset_16k" / "audio" / "1-100032-A-0.flac"
    text = hearless("show", "--weights", weights, clip, "--out", tmp_path / "dog.png").stdout
    assert "hearless evaluate" not in text
    assert f"hearless predict {clip} --weights {weights} --windows" in text
    assert "Dog" in text or "Animal" in text


# --- studies --------------------------------------------------------------------------------------------------------


def test_a_study_writes_its_table_and_is_instant_the_second_time(tiny: Path, tiny_runs: Path, tmp_path: Path) -> None:
    words = ["study", "low_rate/table1", "--labels", tiny / "meta.csv", "--runs", tiny_runs, "--folds", "1"]
    words += ["--rates", "1000", "--out", tmp_path, *SMALL]
    text = hearless(*words).stdout
    for label in ("16 kHz", "raw, 1 kHz", "fine-tuned, 1 kHz", "BASD, 1 kHz", "CSSD, 1 kHz"):
        assert f"\n  {label} " in text
    assert "48.5" in text  # MobileNetV2's CSSD of paper 000
    assert "not the paper's task: other data, networks, rates" in text
    assert "- CSSD, 1 kHz against fine-tuned, 1 kHz on 12 clips" in text
    assert {path.name for path in tmp_path.iterdir()} == {"report.md", "report.csv", "report.json", "bars.png"}
    assert "chosen on each fold's own validation part: 1: low_rate/cssd-1000Hz-" in (tmp_path / "report.md").read_text()
    again = hearless(*words)
    assert "trains" not in again.stderr
    assert again.stdout == text
    some = hearless(*words, "--row", "CSSD, 1 kHz", "--row", "fine-tuned, 1 kHz").stdout
    assert "\n  CSSD, 1 kHz " in some
    assert "\n  BASD, 1 kHz " not in some
    assert "2 of the study's 5 rows were asked for." in some


def test_a_study_with_a_hole_ends_with_code_1(tiny: Path, tmp_path: Path) -> None:
    words = ["--labels", tiny / "meta.csv", "--runs", tmp_path, "--rates", "9000", "--folds", "1", *SMALL]
    result = hearless("study", "low_rate/table1", *words, code=1)
    rows = "raw, 9 kHz; fine-tuned, 9 kHz; BASD, 9 kHz; CSSD, 9 kHz"
    assert f"- missing: {rows}: fold 1: rate must be at most that of the recordings" in result.stdout
    assert "CSSD, 9 kHz, fold 1: as raw, 9 kHz, fold 1" in result.stderr
    assert result.stderr.count("rate must be at most that of the recordings") == 1
    assert (tmp_path / "studies" / "low_rate" / "table1" / "bars.png").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["table9"], "'table9' is no study"),
        (["low_rate/cssd"], "'low_rate/cssd' is no study (it is a recipe: hearless train --method low_rate/cssd)"),
        (["low_rate/power"], "low_rate/power hears no clips and trains no networks; leave the data, --backbone and"),
        (["low_rate/table1", "--seeds", "a"], "--seeds must be whole numbers parted by commas, got 'a'"),
        (["low_rate/table1", "--folds", "3"], "folds must be among 1, 2, got 3"),
        (["low_rate/table1", "--rates", "1000,1000"], "row labels must differ"),
        (["low_rate/bands", "--backbone", "mn04", "--weights", "none"], "one backbone at a time, got 2"),
    ],
)
def test_a_study_refuses_in_a_sentence(tiny: Path, tmp_path: Path, words: list[str], said: str) -> None:
    result = hearless("study", *words, "--labels", tiny / "meta.csv", "--runs", tmp_path, *SMALL, code=1)
    assert said in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["frontier", "--rates", "1000"], "rates are nothing to this study, got [1000]; leave --rates out"),
        (["power", "--weights", "none"], "trains no networks; leave the data, --backbone and --weights out"),
        (["power", "--row", "1 kHz"], "low_rate/power makes its own table, so rows of it cannot"),
        (["power", "--set", "curents=mine.csv"], "got curents; did you mean currents?"),
        (["power", "--set", "currents=mine.csv"], "got mine.csv, which is no file"),
        (
            ["frontier", "--set", "accuracy=nowhere"],
            "must be a folder with report.json, as hearless study writes",
        ),
    ],
)
def test_a_study_without_clips_refuses_in_a_sentence(tmp_path: Path, words: list[str], said: str) -> None:
    name, *rest = words
    assert said in hearless("study", f"low_rate/{name}", "--runs", tmp_path, *rest, code=1).stderr


def test_a_table_that_replaces_another_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["study", "low_rate/power", "--runs", tmp_path]
    monkeypatch.setattr("sys.argv", ["hearless", "study", "low_rate/power"])
    assert "takes the place of" not in hearless(*words).stdout
    assert "takes the place of" not in hearless(*words).stdout
    monkeypatch.setattr("sys.argv", ["hearless", "study", "low_rate/power", "--rates", "1000"])
    told = hearless(*words, "--rates", "1000").stdout
    assert "This table takes the place of one made by `hearless study low_rate/power`; --out keeps several." in told
    power = tmp_path / "studies" / "low_rate" / "power"
    wrong = hearless("study", "low_rate/frontier", "--runs", tmp_path, "--set", f"accuracy={power}", code=1)
    assert "a table of battery (h); --set power=, privacy= are for the others" in wrong.stderr


def test_the_papers_data_are_asked_for_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "data/esc50 must hold ESC-50's" in hearless("study", "low_rate/table1", code=1).stderr


def test_fetch_of_an_unknown_name_lists_what_there_is() -> None:
    assert "no weights or data set is called 'mn03'; weights: " in hearless("fetch", "mn03", code=1).stderr
    assert "nothing to download" in hearless("fetch", "synthetic").stdout


def test_the_demo_says_what_to_type_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}
    row = Row("16 kHz", {"rate": "16 kHz"}, {"accuracy": Measure(0.9, 0.8, 1.0, 10)})

    def study(name: str, **words: object) -> Report:
        asked.update(words, name=name)
        return Report("Demo", "A task.", ("accuracy",), (row,))

    monkeypatch.setattr(door, "study", study)
    monkeypatch.setattr(door, "picture", lambda lab, path, data: path)
    result = hearless("demo", "--runs", tmp_path / "runs", "--out", tmp_path / "out")
    assert (asked["name"], asked["dataset_name"]) == ("low_rate/demo", "synthetic")
    assert (tmp_path / "out" / "report.md").is_file()
    assert (tmp_path / "out" / "accuracy.png").is_file()
    assert "hearless train --root MY_SOUNDS --rate 1000 --method cssd --backbone mn04" in result.stdout


# --- a real process -------------------------------------------------------------------------------------------------


def test_a_real_process_trains_and_prints_json(tiny: Path, tiny_runs: Path) -> None:
    words = ["train", "--labels", tiny / "meta.csv", "--runs", tiny_runs, "--method", "fine_tuned", *SMALL, "--json"]
    command = [sys.executable, "-W", "error", "-m", "hearless.cli", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["report"]["command"].startswith("hearless train --labels ")
    assert Run(Path(found["runs"][0])).done
