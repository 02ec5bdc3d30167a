"""A listener judged by how far it agrees with a frozen teacher: recipe, run, measures, table (paper 003's setting)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from scipy.special import expit

from hearless import evaluate, metrics
from hearless.captures.full_band import FullBand
from hearless.captures.third_octave import ThirdOctave
from hearless.classifiers.mobilenetv3 import MobileNetV3
from hearless.datasets.csv_labels import CsvLabels
from hearless.enhancers.cnn_transcoder import CNNTranscoder
from hearless.enhancers.pinv_transcoder import PINVTranscoder
from hearless.frontends.band_levels import BandLevels
from hearless.frontends.preemphasis_mel import PreEmphasisMel
from hearless.heads.score_mlp import ScoreMLP
from hearless.interfaces import HearlessError
from hearless.lab import Lab
from hearless.labels import label_names
from hearless.objectives.binary_cross_entropy import BinaryCrossEntropy
from hearless.objectives.transcoding import Transcoding
from hearless.pipeline import PipelineSpec
from hearless.recipe import Recipe, Stage, recipe_from_json
from hearless.run import Predictions, Run, load_tensors
from hearless.spec import spec
from hearless.study import Row, Study
from hearless.teachers import Pretrained, Trained

pytestmark = pytest.mark.usefixtures("cached")

TABLE = spec(CsvLabels, table="meta.csv")
CLASSIFIER = spec(MobileNetV3, width=0.2)
TEACHER = PipelineSpec(spec(FullBand, rate_hz=32000), spec(PreEmphasisMel), CLASSIFIER)
LEVELS = PipelineSpec(
    spec(ThirdOctave), spec(BandLevels), CLASSIFIER, enhancer=spec(CNNTranscoder, target="mn04", channels=2, layers=2)
)
PLAIN = replace(LEVELS, enhancer=spec(PINVTranscoder, target="mn04"))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a weights file of AudioSet's 527 classes whose output depends on the sound."""
    torch.manual_seed(0)
    network = MobileNetV3(n_classes=527, width=0.2).train()
    with torch.no_grad():
        for _ in range(30):  # statistics of the normalisation that fit some input
            network(torch.randn(8, 1, 128, 50))
        logits = network.eval()(torch.randn(32, 1, 128, 50)).logits
        network.classifier[-1].weight *= 2.0 / logits.std()
    path = tmp_path_factory.mktemp("weights") / "mn02.safetensors"
    save_file(network.state_dict(), path)
    return path


def recipe(weights: Path, student: PipelineSpec = LEVELS, **changes: Any) -> Recipe:
    stage = Stage((spec(Transcoding),), 2, 1e-3, "constant", trains=("enhancer",))
    made: dict[str, Any] = {
        "dataset": TABLE, "student": student, "stages": (stage,), "classes": "audioset", "select": "min:loss",
        "teacher": Pretrained(str(weights), pipeline=TEACHER), "initial": Pretrained(str(weights)), "batch_size": 6,
    }  # fmt: skip
    return Recipe(**{**made, **changes})


@pytest.fixture
def lab(tiny: Path, tmp_path: Path) -> Lab:
    return Lab(tmp_path / "runs", tiny)


def said_by(weights: Path, waveform: torch.Tensor, rate_hz: int) -> np.ndarray:
    """Return what the teacher says, put together by hand."""
    pipeline = TEACHER.build(527).eval()
    pipeline.classifier.load_state_dict(load_file(weights))
    with torch.no_grad():
        return pipeline(pipeline.observe(waveform, rate_hz)).logits.numpy()


def test_only_the_transcoder_trains_and_the_teachers_first_class_is_the_true_one(lab: Lab, weights: Path) -> None:
    made = recipe(weights)
    run = lab.run(made, "1", 0)
    tensors, _ = load_tensors(run.checkpoint("best"))
    assert {key.split(".")[1] for key in tensors if key.startswith("model.")} == {"enhancer"}
    frozen = lab.pipeline(run).classifier.state_dict()  # statistics of the normalisation included
    assert all(torch.equal(frozen[key], value) for key, value in load_file(weights).items())
    found = Predictions.load(run.predictions("test"))
    assert found.reference is not None
    store = lab.store(lab.table(TABLE), [TEACHER.capture.build()])
    clips = {clip.id: clip for clip in lab.table(TABLE).clips}
    waveform = torch.from_numpy(np.stack([store.waveform(clips[name]) for name in found.ids]))
    np.testing.assert_allclose(found.reference, said_by(weights, waveform, store.rate_hz), atol=2e-4)
    assert (found.true.argmax(1) == found.reference.argmax(1)).all()
    assert run.measured["labels"] == list(label_names("audioset"))


def test_measures_are_those_of_the_paper(lab: Lab, weights: Path) -> None:
    run = lab.run(recipe(weights), "1", 0)
    found = Predictions.load(run.predictions("validation"))
    assert found.reference is not None
    theirs, ours = expit(found.reference.astype(np.float64)), expit(found.logits.astype(np.float64))
    measured = evaluate.measures(found, multi_label=False)
    cross = -(theirs * np.log(ours) + (1 - theirs) * np.log1p(-ours))
    assert measured == pytest.approx({
        "agreement": metrics.first_class_agreement(theirs, ours),
        "top5_agreement": metrics.top_k_agreement(theirs, ours),
        "kl": metrics.published_kl(theirs, ours), "loss": cross.mean(), "mel_mse": found.distance.mean(),
    })  # fmt: skip
    assert run.read("done.json")["validation"] == pytest.approx(measured)
    assert run.metrics()[-1]["validation_loss"] > 0


def test_a_student_that_hears_what_its_teacher_hears_agrees_wholly(lab: Lab, weights: Path) -> None:
    run = lab.run(recipe(weights, TEACHER, stages=()), "1", 0)
    found = Predictions.load(run.predictions("test"))
    measured = evaluate.measures(found, multi_label=False)
    assert (measured["agreement"], measured["top5_agreement"], measured["mel_mse"]) == (1.0, 1.0, 0.0)
    assert abs(measured["kl"]) < 1e-9
    assert not run.checkpoint("best").exists()
    assert lab.run(recipe(weights, TEACHER, stages=()), "1", 0) == run


def test_training_brings_the_transcoded_features_nearer(lab: Lab, weights: Path) -> None:
    mels = Stage((spec(Transcoding, logits=0.0, features=1.0),), 6, 1e-2, "constant", trains=("enhancer",))
    student = replace(LEVELS, enhancer=spec(CNNTranscoder, target="mn04", channels=4, layers=3))
    runs = [lab.run(recipe(weights, PLAIN, stages=()), "1", 0)]
    runs.append(lab.run(recipe(weights, student, stages=(mels,), select="min:mel_mse"), "1", 0))
    before, after = (Predictions.load(run.predictions("test")).distance for run in runs)
    assert after.mean() < 0.7 * before.mean()


def test_long_clips_are_judged_by_the_mean_of_their_scores(lab: Lab, weights: Path) -> None:
    """Paper 003: ten one-second chunks a file, sigmoid scores averaged."""
    found = [
        Predictions.load(lab.run(recipe(weights, TEACHER, stages=(), clip_s=clip_s), "1", 0).predictions("test"))
        for clip_s in (None, 0.25)
    ]
    store = lab.store(lab.table(TABLE), [TEACHER.capture.build()])
    clips = {clip.id: clip for clip in lab.table(TABLE).clips}
    waveform = torch.from_numpy(np.stack([store.waveform(clips[name]) for name in found[1].ids]))
    halves = [expit(said_by(weights, part, store.rate_hz)) for part in waveform.chunk(2, 1)]
    assert found[1].reference is not None
    np.testing.assert_allclose(expit(found[1].reference), np.mean(halves, 0), atol=2e-5)
    assert not np.allclose(found[0].logits, found[1].logits, atol=1e-3)


def test_a_head_learns_on_a_frozen_transcoder_and_classifier(lab: Lab, weights: Path) -> None:
    transcoder = recipe(weights)
    head = replace(LEVELS, head=spec(ScoreMLP, n_classes=3))
    stage = Stage((spec(BinaryCrossEntropy),), 2, 1e-3, "constant", trains=("head",))
    made = Recipe(TABLE, head, (stage,), initial=Trained(transcoder, seed=0), batch_size=6)
    run = lab.run(made, "1", 1)
    earlier = lab.pipeline(lab.run(transcoder, "1", 0)).state_dict()
    now = lab.pipeline(run).state_dict()
    assert all(torch.equal(now[key], value) for key, value in earlier.items())
    assert {key for key in now if key not in earlier} == {
        f"head.{p}.{w}" for p in ("inner", "output") for w in ("weight", "bias")
    }
    assert run.measured["labels"] == ["hiss", "hum", "tick"]
    with pytest.raises(HearlessError, match="leak: the teacher fold2-seed0 was trained on"):
        lab.run(replace(made, initial=Trained(transcoder, seed=0, fold="2")), "1", 1)


def test_a_table_of_agreement(lab: Lab, weights: Path) -> None:
    rows = (
        Row("PINV", {}, (recipe(weights, PLAIN, stages=()),), published={"paper 003": 0.004}),
        Row("CNN", {}, (recipe(weights),)),
    )
    study = Study("x", "Agreement", "A task.", rows, seeds=(0, 1), folds=("1", "2"), compare=(("CNN", "PINV"),))
    report = lab.study(study)
    assert report.columns == ("agreement", "top5_agreement", "kl", "mel_mse", "loss")
    assert [row.hole for row in report.rows] == ["", ""]
    assert report.rows[0].published == {"agreement": 0.004}
    loaded = [
        Predictions.load(lab.run(recipe(weights), fold, seed).predictions("test")) for fold in "12" for seed in (0, 1)
    ]
    value = np.mean([evaluate.measures(one, multi_label=False)["kl"] for one in loaded])
    assert report.rows[1].metrics["kl"].value == pytest.approx(value)
    assert "agreement" in report.tests[0].words
    assert "nats / class" in report.to_markdown()


def test_a_run_with_classes_of_its_own_is_read_back(lab: Lab, weights: Path) -> None:
    made = recipe(weights)
    assert recipe_from_json(made.to_json()).digest == made.digest
    assert isinstance(lab.run(made, "1", 0), Run)
    assert replace(made, classes="").digest != made.digest
