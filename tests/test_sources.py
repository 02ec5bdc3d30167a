"""A level log named from end to end: sound → levels → a table of levels → read back → sources over time."""

from __future__ import annotations

import csv
import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from click.testing import Result
from safetensors.torch import save_file
from typer.testing import CliRunner

from hearless import audio, cli, door, logs
from hearless.captures.third_octave import ThirdOctave
from hearless.classifiers.mobilenetv3 import MobileNetV3
from hearless.classifiers.yamnet import YAMNet
from hearless.datasets.csv_labels import CsvLabels
from hearless.door import Model
from hearless.door.model import Opening
from hearless.dsp.octave_bands import nominal_hz
from hearless.enhancers.pinv_transcoder import PINVTranscoder
from hearless.frontends.band_levels import BandLevels
from hearless.interfaces import HearlessError
from hearless.labels import label_names
from hearless.levels import open_levels, write_levels
from hearless.pipeline import PipelineSpec
from hearless.recipes.spectral_transcoder import pinv
from hearless.spec import spec
from hearless.weights import load_pretrained

pytestmark = pytest.mark.usefixtures("cached")

HZ = nominal_hz()

SMALL = ["epochs=1", "batch_size=6", "light_channels=2", "light_blocks=1", "validation=0.3"]


def hearless(*words: object, code: int = 0) -> Result:
    result = CliRunner().invoke(cli.app, [str(word) for word in words], env={"COLUMNS": "200"})
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of mn04's layout whose output depends on the sound."""
    torch.manual_seed(0)
    network = MobileNetV3(n_classes=527, width=0.4).train()
    with torch.no_grad():
        for _ in range(8):  # statistics of the normalisation that fit some input
            network(torch.randn(4, 1, 128, 50))
        logits = network.eval()(torch.randn(16, 1, 128, 50)).logits
        network.classifier[-1].weight *= 2.0 / logits.std()
    path = tmp_path_factory.mktemp("weights") / "mn04.safetensors"
    save_file(network.state_dict(), path)
    return path


@pytest.fixture(scope="session")
def run(tiny: Path, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a light transcoder's run, trained for an epoch by the one command."""
    runs = tmp_path_factory.mktemp("transcoder")
    words = ["train", "--labels", tiny / "meta.csv", "--runs", runs, "--method", "spectral_transcoder/light"]
    words += ["--backbone", "mn04", "--weights", weights, *(w for one in SMALL for w in ("--set", one))]
    text = hearless(*words).stdout
    (folder,) = runs.glob("spectral_transcoder-light-mn04-fast-*/fold1-seed0")
    assert f"name the sources in a log of levels: hearless predict {folder} LOG.csv --out sources.csv" in text
    return folder


@pytest.fixture
def model(run: Path) -> Model:
    return door.load(run)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return six seconds at 32 kHz: hiss, hum, clicks, a sweep."""
    time_s = np.arange(2 * 32000) / 32000
    rng = np.random.default_rng(0)
    hiss = 0.1 * rng.standard_normal(len(time_s))
    hum = 0.3 * np.sin(2 * np.pi * 200 * time_s) + 0.002 * hiss
    sweep = 0.3 * np.sin(2 * np.pi * (300 * time_s + 800 * time_s**2)) + 0.002 * hiss
    path = tmp_path_factory.mktemp("clip") / "clip.wav"
    soundfile.write(path, np.concatenate([hiss, hum, sweep]), 32000, subtype="FLOAT")
    return path


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def by_hand(model: Model, clip: Path, n_levels: int = 8) -> np.ndarray:
    """Return the scores ``[window, class]`` of a sound: capture, then pipeline, a second at a time."""
    waveform, _ = audio.read(clip, 32000)
    with torch.inference_mode():
        levels = model.pipeline.observe(torch.from_numpy(waveform)[None], 32000)
        parts = torch.cat([part for part in levels.split(n_levels, dim=-1) if part.shape[-1] == n_levels])
        return torch.sigmoid(model.pipeline(parts).logits).numpy()


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "npy", "h5"])
def test_a_log_made_of_a_clip_is_read_back_and_named(model: Model, clip: Path, tmp_path: Path, ending: str) -> None:
    table, out = tmp_path / f"levels.{ending}", tmp_path / "sources.csv"
    assert door.levels(clip, table) == 48
    written = door.sources(model, table, out, every="window", db_offset=0.0, top=None)
    assert (written.n_rows, written.n_log_rows) == (6 * 527, 48)
    found, expected = rows(out), by_hand(model, clip)
    assert len({row["start"] for row in found}) == 6
    for second in range(6):
        scores = {row["label"]: float(row["score"]) for row in found if float(row["start"]) == second}
        said = [scores[label] for label in model.labels]
        np.testing.assert_allclose(said, expected[second], atol=1e-3)
    best = [row["label"] for row in found[::527]]
    assert best == [model.labels[i] for i in expected.argmax(1)]


def test_levels_of_a_long_sound_are_those_of_it_whole(tmp_path: Path) -> None:
    samples = 0.1 * np.random.default_rng(0).standard_normal(125 * 32000).astype(np.float32)
    for n_samples, interval in ((125 * 32000, "fast"), (120 * 32000 + 50, "fast"), (121 * 32000 + 7, "slow")):
        soundfile.write(tmp_path / "long.wav", samples[:n_samples], 32000, subtype="FLOAT")
        n_rows = door.levels(tmp_path / "long.wav", tmp_path / "long.npy", interval=interval)
        with torch.inference_mode():
            whole = ThirdOctave(interval=interval)(torch.from_numpy(samples[None, :n_samples]), 32000)[0].T.numpy()
        assert n_rows == len(whole)
        np.testing.assert_allclose(np.load(tmp_path / "long.npy"), whole, atol=1e-4)
        assert open_levels(tmp_path / "long.npy").table.interval_s == {"fast": 0.125, "slow": 1.0}[interval]


def test_the_command_line_from_clip_to_picture(run: Path, clip: Path, tmp_path: Path) -> None:
    table, out, picture = tmp_path / "levels.csv", tmp_path / "s.csv", tmp_path / "s.png"
    said = hearless("levels", clip, "--to", table).stdout
    assert f"{table} written: 48 rows of 29 bands." in said
    assert f"hearless predict MODEL {table} --db-offset 0 --windows" in said
    words = ["predict", run, table, "--db-offset", 0, "--out", out, "--every", "2s", "--top", 2]
    text = hearless(*words).stdout
    assert f"{out} written: 6 rows from 48 rows of levels." in text
    assert "the same command with --picture" in text
    assert hearless(*words, "--picture", picture).stdout.endswith(f"The picture: {picture}\n")
    assert picture.read_bytes()[:4] == b"\x89PNG"
    found = json.loads(hearless(*words, "--json").stdout)
    assert found == {"table": str(out), "rows": 6, "log_rows": 48, "notes": {}}
    lines = hearless("predict", run, table, "--db-offset", 0, "--windows", "--top", 1).stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == [f"{t}.000 – {t + 1}.000" for t in range(6)]
    one = json.loads(hearless("predict", run, table, "--db-offset", 0, "--windows", "--json").stdout.splitlines()[0])
    assert (one["start"], one["missing"], len(one["scores"])) == ("0.000", 0.0, 5)
    assert hearless("predict", run, clip).stdout.startswith(f"{clip}: ")  # sound is measured first, as in training


def test_labels_asked_for_are_those_shown(run: Path, clip: Path, tmp_path: Path) -> None:
    hearless("levels", clip, "--to", tmp_path / "l.csv")
    words = ["predict", run, tmp_path / "l.csv", "--db-offset", 0, "--csv", tmp_path / "o.csv"]
    hearless(*words, "--only", "Siren,Fire engine, fire truck (siren),Dog")
    assert [row["label"] for row in rows(tmp_path / "o.csv")[:3]] == ["Siren", "Fire engine, fire truck (siren)", "Dog"]
    error = hearless("predict", run, tmp_path / "l.csv", "--only", "Sirene", "--db-offset", 0, code=1).stderr
    assert "only must name classes of the model, got Sirene" in error


def test_the_offset_is_estimated_and_told(model: Model, run: Path, clip: Path, tmp_path: Path) -> None:
    assert len(model.median_db) == 29
    door.levels(clip, tmp_path / "l.npy")
    levels_db = np.load(tmp_path / "l.npy")
    medians = np.nanmedian(np.array(model.median_db) - np.median(levels_db, 0))
    told: list[str] = []
    _, _, wanted = door.prepared(model, tmp_path / "l.npy", say=told.append)
    assert wanted.offset_db == pytest.approx(medians, abs=0.11)
    assert (
        told[0]
        == "bands 5000, 6300, 8000, 10000, 12500 Hz are not listened to: the training clips' sound ends at 4000 Hz."
    )
    assert f"offset {wanted.offset_db:+.1f} dB: over " in told[1]
    write_levels(tmp_path / "loud.npy", levels_db + 40, open_levels(tmp_path / "l.npy").table.bands_hz, 0.125)
    assert door.prepared(model, tmp_path / "loud.npy")[2].offset_db == pytest.approx(wanted.offset_db - 40, abs=0.11)
    assert "dB: over " in hearless("predict", run, tmp_path / "l.npy").stderr
    bare = Model(model.pipeline, model.labels, True, 1.0, "bare")
    assert door.prepared(bare, tmp_path / "l.npy", say=told.append)[2].offset_db == 0.0
    assert told[-1].startswith("offset 0 dB: the model's run tells no levels")


def test_training_medians_are_those_of_the_training_clips(run: Path, tiny: Path) -> None:
    measured, heard = json.loads((run / "measured.json").read_text()), []
    training = set(json.loads((run / "clips.json").read_text())["training"])
    with (tiny / "meta.csv").open() as file:
        paths = [row["path"] for row in csv.DictReader(file) if row["group"] in training]
    for path in paths:
        samples, _ = soundfile.read(tiny / "audio" / path, dtype="float32")
        samples = np.pad(samples, (0, 8000 - len(samples)))  # filled up to a second
        heard.append(ThirdOctave()(torch.from_numpy(samples)[None], 8000)[0])
    levels = torch.stack(heard).mT.flatten(0, 1).numpy()
    medians = [round(float(np.median(band[band > -100])), 1) if (band > -100).any() else None for band in levels.T]
    assert measured["median_db"][:20] == pytest.approx(medians[:20], abs=0.11)
    assert measured["median_db"][28] is medians[28] is None  # 12.5 kHz, in sound of 8 kHz


def test_missing_bands_and_gaps_go_through_marked(run: Path, clip: Path, tmp_path: Path) -> None:
    door.levels(clip, tmp_path / "l.csv")
    head, *lines = (tmp_path / "l.csv").read_text().splitlines()
    cells = [line.split(",")[:1] + line.split(",")[4:] for line in [head, *lines]]
    for row in range(9, 17):
        cells[row][1:] = [""] * 26
    del cells[33:41]
    (tmp_path / "l.csv").write_text("\n".join(map(",".join, cells)) + "\n")
    words = ["predict", run, tmp_path / "l.csv", "--db-offset", 0, "--windows", "--top", 1, "--out", tmp_path / "o.csv"]
    assert "- 1 gap of the log" in hearless(*words).stdout
    found = [(row["start"], bool(row["label"]), float(row["missing"])) for row in rows(tmp_path / "o.csv")]
    bands = pytest.approx(3 / 29, abs=1e-4)
    assert found == [
        ("0.000", True, bands), ("1.000", False, 1.0), ("2.000", True, bands), ("3.000", True, bands),
        ("4.000", False, 1.0), ("5.000", True, bands),
    ]  # fmt: skip


def test_what_does_not_fit_is_refused_with_the_command_that_trains_it(
    run: Path, clip: Path, tiny: Path, tiny_runs: Path, tmp_path: Path
) -> None:
    door.levels(clip, tmp_path / "slow.csv", interval="slow")
    error = hearless("predict", run, tmp_path / "slow.csv", code=1).stderr
    assert "hears 1/3-octave levels every 0.125 s, the log has 1/3-octave ones every 1 s" in error
    command = "hearless train --labels TABLE.csv --method spectral_transcoder/light --backbone mn04 --set interval=slow"
    assert command in error
    octaves = (31.5, 63, 125, 250, 500, 1000, 2000, 4000, 8000, 16000)
    write_levels(tmp_path / "octaves.csv", np.full((16, 10), 50.0), octaves, 0.125)
    error = hearless("predict", run, tmp_path / "octaves.csv", code=1).stderr
    assert f"the log has 1/1-octave ones every 0.125 s; train one for it: {command[:-4]}fast --set octaves=1/1" in error
    small = {"backbone": "mn02", "epochs": 1, "batch_size": 8, "validation": 0.3, "method": "fine_tuned"}
    ear = door.train(labels=tiny / "meta.csv", runs=tiny_runs, **small)
    error = hearless("predict", ear.path, tmp_path / "slow.csv", code=1).stderr
    assert "hears sound; for level tables train a transcoder: hearless train --labels TABLE.csv --method" in error
    error = hearless("predict", run, tmp_path / "slow.csv", clip, code=1).stderr
    assert "one level table at a time, and no sounds beside it" in error
    error = hearless("predict", run, clip, "--every", "1h", code=1).stderr
    assert "--every and --only are for level logs" in error
    error = hearless("predict", run, tmp_path / "slow.csv", "--picture", tmp_path / "p.png", code=1).stderr
    assert "add --out sources.csv" in error
    error = hearless("predict", run, tmp_path / "slow.csv", "--interval", "quick", code=1).stderr
    assert "--interval must be fast, slow or seconds, got 'quick'" in error


def test_windows_are_whole_levels_and_long_enough_for_the_classifier(model: Model) -> None:
    assert model.level_listener(0.52).n_rows == 4
    assert model.level_listener().n_rows == 8
    view = PipelineSpec(
        spec(ThirdOctave), spec(BandLevels), spec(YAMNet), enhancer=spec(PINVTranscoder, target="yamnet")
    )
    patches = Model(view.build(521).eval(), label_names("yamnet"), True, 1.0, "patches")
    assert patches.level_listener(2.0).window_s == 2.0
    with pytest.raises(HearlessError, match="a clip must give at least 96 frames to YAMNet"):
        patches.level_listener(0.9)


@pytest.mark.parametrize(("interval", "octaves", "n_rows"), [("slow", "1/3", 6), ("fast", "1/1", 48)])
def test_the_command_that_is_printed_trains_a_model_that_reads_the_log(
    run: Path, clip: Path, tiny: Path, weights: Path, tmp_path: Path, interval: str, octaves: str, n_rows: int
) -> None:
    log, out = tmp_path / "log.csv", tmp_path / "sources.csv"
    text = hearless("levels", clip, "--to", log, "--interval", interval, "--octaves", octaves).stdout
    assert f"{n_rows} rows of {29 if octaves == '1/3' else 10} bands" in text
    command = hearless("predict", run, log, code=1).stderr.partition("train one for it: ")[2].strip().rstrip(".")
    words = [str(tiny / "meta.csv") if word == "TABLE.csv" else word for word in shlex.split(command)[1:]]
    small = [word for one in SMALL for word in ("--set", one)]
    hearless(*words, "--weights", weights, "--runs", tmp_path / "runs", *small)
    name = "slow" if octaves == "1/3" else "fast_octaves"
    (folder,) = (tmp_path / "runs").glob(f"spectral_transcoder-light-mn04-{name}-*/fold1-seed0")
    hearless("predict", folder, log, "--db-offset", 0, "--windows", "--top", 1, "--out", out)
    model, found = door.load(folder), rows(out)
    assert len(model.median_db) == (29 if octaves == "1/3" else 10)
    expected = by_hand(model, clip, n_levels=n_rows // 6)
    assert [row["label"] for row in found] == [model.labels[i] for i in expected.argmax(1)]
    assert [float(row["score"]) for row in found] == pytest.approx(expected.max(1), abs=1e-3)


def test_any_recipe_can_be_trained_by_name(tiny: Path, tiny_runs: Path) -> None:
    small: dict[str, Any] = {"backbone": "mn02", "epochs": 1, "batch_size": 8, "validation": 0.3}
    one = door.train(labels=tiny / "meta.csv", runs=tiny_runs, method="low_rate/fine_tuned", rate=2000, **small)
    assert one == door.train(labels=tiny / "meta.csv", runs=tiny_runs, method="fine_tuned", rate=2000, **small)
    with pytest.raises(
        HearlessError, match=r"'spectral_transcoder/lite' is no recipe \(did you mean .*/light\?\); known are"
    ):
        door.train(labels=tiny / "meta.csv", runs=tiny_runs, method="spectral_transcoder/lite", **small)


@pytest.mark.data
def test_a_real_clips_log_says_what_the_pipeline_says_of_the_sound(shared: Path, tmp_path: Path) -> None:
    """YAMNet behind the pseudo-inverse, nothing trained: agreement with the sound itself is poor, by the paper too."""
    weights = shared / "weights" / "yamnet_audioset" / "yamnet.fp16.safetensors"
    table = spec(CsvLabels, table="meta.csv")
    settings = door.settings("spectral_transcoder", table, backbone="yamnet", weights=weights)
    pipeline = pinv.recipe(settings).student.build(521)
    load_pretrained(pipeline, str(weights), replace_output=False)
    model = Model(pipeline.eval(), label_names("yamnet"), True, 1.0, "pinv")
    for clip in sorted((shared / "fixtures" / "transcoder" / "clips_32k").glob("*.flac"))[:3]:
        door.levels(clip, tmp_path / "l.parquet")
        out = tmp_path / f"{clip.stem}.parquet"
        door.sources(model, tmp_path / "l.parquet", out, every="1min", db_offset=0.0, top=1)
        (row,) = logs.read_table(out)
        assert row[2] == next(iter(model.predict(clip)))
        assert row[4] == pytest.approx(1 - 5 / 60, abs=1e-3)
        assert row[3] == pytest.approx(by_hand(model, clip).mean(0).max(), abs=1e-3)


# --- what a newcomer stumbled over ----------------------------------------------------------------------------------


def test_a_given_offset_that_surprises_is_told_of(model: Model, clip: Path, tmp_path: Path) -> None:
    door.levels(clip, tmp_path / "l.csv")
    told = list[str]()
    likely = door.prepared(model, tmp_path / "l.csv")[2].offset_db
    for given in (likely + 10, likely + 30):
        assert door.prepared(model, tmp_path / "l.csv", db_offset=given, say=told.append)[2].offset_db == given
    offsets = [text for text in told if text.startswith("offset")]
    assert len(offsets) == 1
    assert offsets[0].startswith(f"offset {likely + 30:+.1f} dB as given, though the levels suggest {likely:+.1f} dB: ")


def test_where_no_offset_can_be_estimated_a_given_one_is_taken(model: Model, tmp_path: Path) -> None:
    deaf = replace(model, median_db=(*[np.nan] * 28, -30.0))
    write_levels(tmp_path / "low.csv", np.full((16, 8), 50.0), HZ[:8], 0.125)
    with pytest.raises(HearlessError, match="give the dB offset instead"):
        door.prepared(deaf, tmp_path / "low.csv")
    assert door.prepared(deaf, tmp_path / "low.csv", db_offset=-80.0)[2].offset_db == -80.0


def test_bands_above_the_training_clips_sound_are_held_down_to_theirs(model: Model, clip: Path, tmp_path: Path) -> None:
    door.levels(clip, tmp_path / "l.npy")
    assert model.heard_to_hz == 4000
    assert [hz for hz, deaf in zip(HZ, model.unheard, strict=True) if deaf] == [5000, 6300, 8000, 10000, 12500]
    loud = np.load(tmp_path / "l.npy")
    loud[:, -5:] = 40.0
    write_levels(tmp_path / "loud.npy", loud, HZ, 0.125)
    for file in ("l.npy", "loud.npy"):
        heard = model.heard(tmp_path / file, how=Opening(db_offset=0.0))[0][0].values
        np.testing.assert_allclose(heard[:-5, :7], loud.T[:-5, :7], atol=1e-4)
        assert (heard[-5:] <= np.nan_to_num(np.array(model.median_db)[-5:, None] + 10.01, nan=-154.0)).all()
    anyhow = replace(model, heard_to_hz=np.inf).heard(tmp_path / "loud.npy", how=Opening(db_offset=0.0))[0][0].values
    assert (anyhow[-5:] == 40).all()


def test_missing_bands_are_told(model: Model, tmp_path: Path) -> None:
    told = list[str]()
    write_levels(tmp_path / "few.csv", np.full((16, 8), 50.0) + np.arange(8), HZ[:8], 0.125)
    door.prepared(model, tmp_path / "few.csv", say=told.append)
    assert told[0].startswith("21 of 29 bands are missing (125, 160, ")
    assert told[0].endswith("filled from their neighbours; so many that scores say little.")


def test_messages_name_the_flags_of_the_command(run: Path, clip: Path, tmp_path: Path) -> None:
    door.levels(clip, tmp_path / "l.csv")
    lines = (tmp_path / "l.csv").read_text().splitlines()
    coarse = [lines[0], *(f"2024-06-01 08:00:0{i // 8},{line.partition(',')[2]}" for i, line in enumerate(lines[1:17]))]
    (tmp_path / "coarse.csv").write_text("\n".join(coarse) + "\n")
    error = hearless("predict", run, tmp_path / "coarse.csv", code=1).stderr
    assert "give --interval (and --time-column ''" in error
    assert "interval_s" not in error
    found = hearless("predict", run, tmp_path / "coarse.csv", "--time-column", "", "--interval", "fast")
    assert found.stdout.startswith("0.000 – 1.000: ")
    shown = ["show", run, tmp_path / "coarse.csv", "--time-column", "", "--interval", "fast", "--start", 1]
    assert "1 s from 1 s on of about 2 s" in hearless(*shown, "--out", tmp_path / "x.png").stdout
    (tmp_path / "odd.csv").write_text("\n".join([lines[0].replace("time_s", "wann"), *lines[1:]]) + "\n")
    error = hearless("predict", run, tmp_path / "odd.csv", code=1).stderr
    assert "no column for time that is known by its name, among wann; name it in --time-column" in error
    assert "2.000" in hearless("predict", run, tmp_path / "odd.csv", "--time-column", "wann", "--windows").stdout
    error = hearless("predict", run, tmp_path / "l.csv", "--events", code=1).stderr
    assert "--join and --shortest are for sounds, not level logs" in error
