from __future__ import annotations

import copy
import json
import runpy
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hearless import calibration, exports, quantize
from hearless.artifact import Artifact, Card
from hearless.interfaces import HearlessError, Prediction
from hearless.pipeline import Pipeline
from hearless.predict import Listener

onnx = pytest.importorskip("onnx", reason="needs hearless[onnx]")
pytest.importorskip("onnxruntime", reason="needs hearless[onnx]")
pytest.importorskip("onnxscript", reason="needs hearless[onnx]")

from hearless.exports import onnx as exporter

TONES: dict[str, Any] = runpy.run_path(str(Path(__file__).parents[1] / "fakes" / "tones.py"))
tones, taught = TONES["tones"], TONES["taught"]
CARD = Card(
    run="tones-0123/fold1-seed0", labels=TONES["LABELS"], rate_hz=TONES["RATE_HZ"], window_s=TONES["WINDOW_S"],
    licence="CC0", temperature=2.0,
)  # fmt: skip


@dataclass
class Exported:
    pipeline: Pipeline
    path: Path
    card: Card
    fake: quantize.Quantized | None = None


@pytest.fixture(scope="module")
def held_out() -> Tensor:
    return tones(48, seed=999)[0]


@pytest.fixture(scope="module")
def fp32(tmp_path_factory: pytest.TempPathFactory, held_out: Tensor) -> Exported:
    pipeline, path = taught(), tmp_path_factory.mktemp("fp32") / "new" / "net.onnx"
    return Exported(pipeline, path, exporter.export(pipeline, path, CARD, held_out))


@pytest.fixture(scope="module")
def int8(tmp_path_factory: pytest.TempPathFactory, held_out: Tensor, fp32: Exported) -> Exported:
    """Return a network after quantization-aware training, as file and as it was trained."""
    pipeline, path = copy.deepcopy(fp32.pipeline), tmp_path_factory.mktemp("int8") / "net.onnx"
    pipeline.classifier = quantize.prepare_qat(pipeline.classifier, pipeline.features(tones(8)[0]))
    TONES["train"](pipeline, 8, 3e-4)
    fake = copy.deepcopy(pipeline.classifier)
    pipeline.classifier = quantize.convert(pipeline.classifier)
    card = exporter.export(pipeline, path, CARD, held_out, free_length=False)
    return Exported(pipeline, path, card, fake)


def logits(pipeline: nn.Module, observation: Tensor) -> np.ndarray:
    with torch.no_grad():
        return pipeline(observation).logits.numpy()


def test_a_file_is_not_sure_of_noise(fp32: Exported, tmp_path: Path) -> None:
    """Calibrated on validation tones, it names all but one in twenty of other tones, and no noise and no silence."""
    validation, classes = tones(60, seed=7)
    rule = calibration.fit(np.eye(3)[classes], Artifact(fp32.path).logits(validation.numpy()), multi_label=False)
    card = replace(CARD, temperature=rule.temperature, none_below=rule.none_below)
    path = tmp_path / "net.onnx"
    shutil.copyfile(fp32.path, path)
    exporter._stamp(path, card)
    artifact = Artifact(path)
    listener = Listener(**artifact.listening)

    def named(observation: np.ndarray) -> np.ndarray:
        scores = calibration.scores(artifact.classify(observation, card.rate_hz), multi_label=False)
        return listener.named(scores.astype(np.float32)).any(1)

    assert named(tones(100, seed=8)[0].numpy()).mean() >= 0.85
    for sound in calibration.noises(card.n_samples).values():
        assert not named(sound).any()


def test_the_file_gives_pytorchs_logits_for_any_number_of_clips_and_any_length(fp32: Exported) -> None:
    artifact = Artifact(fp32.path)
    assert artifact.card == fp32.card
    assert fp32.card.free_length
    shortest = round(fp32.card.min_window_s * fp32.card.rate_hz)
    for n_clips, n_samples in ((1, 500), (7, 500), (2, 1207), (3, shortest)):
        observation = torch.randn(n_clips, n_samples, generator=torch.Generator().manual_seed(n_samples))
        wanted = logits(fp32.pipeline, observation)
        np.testing.assert_allclose(artifact.logits(observation.numpy()), wanted, atol=1e-4)
    with pytest.raises(HearlessError, match="16 frames"):
        fp32.pipeline(torch.randn(1, shortest - 1))
    with pytest.raises(HearlessError, match=r"hears at least 0\.151 s"):
        artifact.logits(np.zeros((1, shortest - 1)))


def test_the_card_says_what_was_exported_and_what_the_gate_measured(fp32: Exported, held_out: Tensor) -> None:
    stored = {entry.key: entry.value for entry in onnx.load(str(fp32.path)).metadata_props}
    said = json.loads(stored["hearless"])
    n = sum(parameter.numel() for parameter in fp32.pipeline.parameters())
    assert (said["run"], said["labels"], said["rate_hz"]) == (CARD.run, [*CARD.labels], 1000)
    assert (said["licence"], said["temperature"], said["precision"]) == ("CC0", 2.0, "fp32")
    assert (said["parameters"], said["int8_parameters"]) == (n, 0)
    assert said["versions"]["torch"] == torch.__version__
    assert 3.5 * n < said["network_bytes"] < 4.1 * n
    apart = np.abs(Artifact(fp32.path).logits(held_out.numpy()) - logits(fp32.pipeline, held_out)).max()
    assert said["parity"] == {
        "max_logit_difference": pytest.approx(apart), "label_agreement": 1.0, "clips": 48.0, "tolerance": 1e-3,
        "labels_differ": 0.0, "near_ties_differ": 0.0, "furthest_clip": pytest.approx(24, abs=24),
    }  # fmt: skip


def test_an_int8_file_gives_the_logits_of_the_fake_quantized_network(int8: Exported) -> None:
    observation, classes = tones(100, seed=5)
    got = Artifact(int8.path).logits(observation.numpy())
    with torch.no_grad():
        wanted = int8.fake(int8.pipeline.features(observation)).logits.numpy()
    apart = np.abs(got - wanted)
    assert (apart < 1e-4).mean() > 0.95  # a last digit of the front end may move an activation by a whole step
    assert apart.max() < 0.05
    assert (got.argmax(1) == classes.numpy()).mean() > 0.98
    assert int8.card.parity["integer_label_agreement"] >= 0.98


def test_an_int8_file_holds_int8(int8: Exported, fp32: Exported) -> None:
    network = [weight for weight in exporter.weights(int8.path) if weight.part == "classifier"]
    n = fp32.card.parameters
    in_int8 = sum(np.prod(w.shape) for w in network if w.dtype == "int8" and len(w.shape) == 4)
    assert in_int8 == int8.card.int8_parameters > 0.9 * n
    assert not [w for w in network if w.dtype == "float32" and len(w.shape) > 1]
    assert sum(weight.n_bytes for weight in network) == int8.card.network_bytes < 1.3 * n
    operators = [node.op_type for node in onnx.load(str(int8.path)).graph.node]
    convolutions = [layer for layer in fp32.pipeline.classifier.modules() if isinstance(layer, nn.Conv2d)]
    assert operators.count("Conv") == len(convolutions)
    assert operators.count("QuantizeLinear") >= len(convolutions)
    assert int8.card.precision == "int8"
    assert int8.card.n_samples == 500
    assert not int8.card.free_length


def test_a_published_network_passes_in_int8(tmp_path: Path, held_out: Tensor) -> None:
    pipeline = taught("mobilenet")
    observation, classes = tones(100, seed=5)
    right = float((logits(pipeline, observation).argmax(1) == classes.numpy()).mean())
    prepared = quantize.prepare_ptq(pipeline.classifier, pipeline.features(tones(8)[0]))
    quantize.calibrate(prepared, [pipeline.features(tones(24)[0])])
    pipeline.classifier = quantize.convert(prepared)
    card = exporter.export(pipeline, tmp_path / "mn.onnx", CARD, held_out, free_length=False)
    assert card.int8_parameters > 0.95 * card.parameters
    assert card.network_bytes < 1.2 * card.parameters
    assert card.parity["max_logit_difference"] < 0.1
    assert right > 0.9
    assert (
        Artifact(tmp_path / "mn.onnx").logits(observation.numpy()).argmax(1) == classes.numpy()
    ).mean() >= right - 0.01


def test_the_gate_refuses_a_file_with_other_weights(fp32: Exported, held_out: Tensor, tmp_path: Path) -> None:
    model = onnx.load(str(fp32.path))
    tensor = next(t for t in model.graph.initializer if t.name.startswith("classifier/") and len(t.dims) == 4)
    values = onnx.numpy_helper.to_array(tensor).copy()
    values[0] += 0.2
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    onnx.save(model, str(tmp_path / "tampered.onnx"))
    assert exporter.verify(fp32.path, fp32.pipeline, held_out)["max_logit_difference"] < 1e-4
    with pytest.raises(HearlessError, match=r"tampered.onnx must give PyTorch's logits within 0.001 .* it is refused"):
        exporter.verify(tmp_path / "tampered.onnx", fp32.pipeline, held_out)


def test_the_gate_counts_labels_and_infinite_logits() -> None:
    good = {
        "max_logit_difference": 0.3, "tolerance": 0.5, "labels_differ": 1.0, "near_ties_differ": 1.0, "clips": 61.0,
        "furthest_clip": 7.0,
    }  # fmt: skip
    assert exports.gate(good, "x") == good
    for bad in (
        {"near_ties_differ": 0.0}, {"labels_differ": 4.0, "near_ties_differ": 4.0},
        {"max_logit_difference": 0.6}, {"max_logit_difference": float("nan")},
    ):  # fmt: skip
        with pytest.raises(exports.RefusedError, match="it is refused") as refused:
            exports.gate({**good, **bad}, "x")
        assert refused.value.clip == 7


class Said(nn.Module):
    """A network that says the logits it is given."""

    def forward(self, observation: Tensor) -> Tensor:
        return observation


def test_a_near_tie_is_borne_and_a_clear_label_is_not() -> None:
    wanted = torch.tensor([[0.0, 1.0, 0.0]] * 60 + [[0.0, 0.3, 0.29]])
    got = wanted.clone()
    got[-1, 2] = 0.31
    whole = cast(exports.Whole, Said())
    found = exports.gate(exports.compare(lambda _: got.numpy(), whole, wanted, "int8"), "x")
    assert (found["labels_differ"], found["near_ties_differ"], found["furthest_clip"]) == (1.0, 1.0, 60.0)
    assert found["tolerance"] == pytest.approx(float(wanted.std(correction=0)))  # less than 0.5
    got[5] = torch.tensor([0.0, 0.55, 0.57])
    found = exports.compare(lambda _: got.numpy(), whole, wanted, "int8", tolerance=0.6)
    assert (found["labels_differ"], found["near_ties_differ"], found["furthest_clip"]) == (2.0, 1.0, 5.0)
    with pytest.raises(exports.RefusedError, match="2 of 61 labels differ, 1 of them in near-ties; it is refused"):
        exports.gate(found, "x")


def test_int8_is_held_to_the_spread_of_small_logits() -> None:
    wanted = 0.03 * torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    whole = cast(exports.Whole, Said())
    found = exports.compare(lambda _: wanted.numpy() + 0.2, whole, wanted, "int8")
    assert found["label_agreement"] == 1.0
    with pytest.raises(exports.RefusedError, match=r"logits within 0\.02"):
        exports.gate(found, "x")
    assert exports.compare(lambda _: wanted.numpy(), whole, 1000 * wanted, "int8")["tolerance"] == 0.5


def test_labels_of_many_are_compared_class_by_class(held_out: Tensor) -> None:
    whole = exports.Whole(taught(n_steps=0))
    wanted = exports.torch_logits(whole, held_out)
    other = wanted.copy()
    other[:12, 2] = -wanted[:12, 2]
    found = exports.compare(lambda observation: other, whole, held_out, multi_label=True)
    assert found["label_agreement"] == 0.75
    assert (found["labels_differ"], found["near_ties_differ"]) == (12, (np.abs(wanted[:12, 2]) <= 1e-3).sum())
    with pytest.raises(HearlessError, match=r"must give logits of shape \(48, 3\)"):
        exports.compare(lambda observation: other[:, :2], whole, held_out)


class Searching(nn.Module):
    """A classifier with an operator that ONNX has no form for here."""

    n_classes, min_bands, min_frames = 3, 1, 1

    def forward(self, features: Tensor, keep: Tensor | None = None, *, maps: bool = False) -> Prediction:
        found = torch.special.bessel_j0(features).mean((2, 3)).expand(-1, 3)
        return Prediction(found, found, features)


def test_what_cannot_be_exported_is_refused_with_its_operator(held_out: Tensor, tmp_path: Path) -> None:
    pipeline = taught(n_steps=0)
    pipeline.classifier = Searching()
    with pytest.raises(
        HearlessError, match=r"onnx cannot express operator prims.bessel_j0: No ONNX function .* export to executorch"
    ):
        exporter.export(pipeline, tmp_path / "net.onnx", CARD, held_out, free_length=False)
    assert list(tmp_path.iterdir()) == []


def test_wrong_cards_and_observations_are_refused(int8: Exported, held_out: Tensor, tmp_path: Path) -> None:
    from dataclasses import replace

    def export(pipeline: Pipeline, card: Card = CARD, heard: Tensor = held_out) -> None:
        exporter.export(pipeline, tmp_path / "net.onnx", card, heard)

    pipeline = taught(n_steps=0)
    with pytest.raises(HearlessError, match="must say 1000 Hz and 3 labels, as the pipeline does, got 2000 Hz"):
        export(pipeline, replace(CARD, rate_hz=2000, window_s=0.25))
    with pytest.raises(HearlessError, match="got 1000 Hz and 2"):
        export(pipeline, replace(CARD, labels=("a", "b")))
    with pytest.raises(HearlessError, match=r"must be \[clip, …, 500\], a window each, got \(48, 400\)"):
        export(pipeline, heard=held_out[:, :400])
    pipeline.classifier = int8.fake
    with pytest.raises(HearlessError, match="stage 'qat'; convert it first"):
        export(pipeline)
    pipeline.classifier = copy.copy(int8.pipeline.classifier)
    pipeline.classifier.backend = "executorch"
    with pytest.raises(HearlessError, match="export to onnx takes a network quantized for it"):
        export(pipeline)
    assert list(tmp_path.iterdir()) == []
