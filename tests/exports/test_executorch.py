from __future__ import annotations

import copy
import json
import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

from hearless import cli, quantize
from hearless.artifact import Card
from hearless.interfaces import HearlessError, Prediction
from hearless.pipeline import Pipeline

pytest.importorskip("executorch", reason="needs hearless[executorch]")

from hearless.exports import executorch as exporter

TONES: dict[str, Any] = runpy.run_path(str(Path(__file__).parents[1] / "fakes" / "tones.py"))
tones, taught = TONES["tones"], TONES["taught"]
CARD = Card(
    run="tones-0123/fold1-seed0", labels=TONES["LABELS"], rate_hz=TONES["RATE_HZ"], window_s=TONES["WINDOW_S"],
    temperature=2.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def held_out() -> Tensor:
    return tones(48, seed=999)[0]


@pytest.fixture(scope="module")
def fp32(tmp_path_factory: pytest.TempPathFactory, held_out: Tensor) -> tuple[Pipeline, Path, Card]:
    pipeline, path = taught(), tmp_path_factory.mktemp("fp32") / "net.pte"
    return pipeline, path, exporter.export(pipeline, path, CARD, held_out)


def test_the_program_gives_pytorchs_logits(fp32: tuple[Pipeline, Path, Card], held_out: Tensor) -> None:
    pipeline, path, card = fp32
    program = exporter.Program(path)
    assert program.card == card
    assert card.parity["max_logit_difference"] < 1e-4
    assert card.parity["xnnpack_partitions"] >= 1
    with torch.no_grad():
        wanted = pipeline(held_out).logits.numpy()
    np.testing.assert_allclose(program.logits(held_out.numpy()), wanted, atol=1e-4)
    np.testing.assert_allclose(program.classify(held_out[:3].numpy(), 1000), wanted[:3] / 2.0, atol=1e-4)
    assert json.loads(path.with_suffix(".json").read_text())["labels"] == [*CARD.labels]
    assert (card.free_length, card.min_window_s) == (False, 0.5)


def test_a_program_keeps_nothing_that_it_does_not_read(fp32: tuple[Pipeline, Path, Card]) -> None:
    whole_mel = fp32[0].frontend.mel_power.mel.numpy().tobytes()
    assert whole_mel not in fp32[1].read_bytes()


def test_an_int8_program_holds_int8_and_gives_pytorchs_labels(
    fp32: tuple[Pipeline, Path, Card], held_out: Tensor, tmp_path: Path
) -> None:
    pipeline = Pipeline(capture=fp32[0].capture, frontend=fp32[0].frontend, classifier=fp32[0].classifier)
    pipeline = copy.deepcopy(pipeline).on("cpu")  # in the channels-last layout, as a run is loaded
    prepared = quantize.prepare_ptq(pipeline.classifier, pipeline.features(tones(8)[0]), "executorch")
    quantize.calibrate(prepared, [pipeline.features(tones(24)[0])])
    pipeline.classifier = quantize.convert(prepared)
    path = tmp_path / "net.pte"
    card = exporter.export(pipeline, path, CARD, held_out)
    observation, classes = tones(100, seed=5)
    got = exporter.Program(path).logits(observation.numpy())
    with torch.no_grad():
        wanted = pipeline(observation).logits.numpy()
    assert np.abs(got - wanted).max() < 0.2
    assert (got.argmax(1) == wanted.argmax(1)).mean() >= 0.99
    assert (got.argmax(1) == classes.numpy()).mean() > 0.95
    stored = {k: v for k, v in pipeline.classifier.state_dict().items() if v.dtype == torch.int8 and v.ndim == 4}
    square = [weight for weight in stored.values() if weight.shape[2:] == (1, 1)]
    content = path.read_bytes()
    assert len(square) == 9
    assert all(weight.contiguous().numpy().tobytes() in content for weight in square)
    assert card.int8_parameters == sum(weight.numel() for weight in stored.values()) > 0.9 * card.parameters
    assert card.network_bytes < 1.3 * card.parameters


class Small(nn.Module):
    """A classifier that is quickly exported."""

    n_classes, min_bands, min_frames = 3, 1, 1

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(32, 3)

    def forward(self, features: Tensor, keep: Tensor | None = None, *, maps: bool = False) -> Prediction:
        embedding = features.amax(-1)[:, 0]
        return Prediction(self.last(embedding), embedding, features)


def test_the_gate_refuses_another_network_and_leaves_no_file(
    fp32: tuple[Pipeline, Path, Card], held_out: Tensor, tmp_path: Path
) -> None:
    other = taught(n_steps=0)
    with pytest.raises(HearlessError, match=r"net.pte must give PyTorch's logits within 0.001 .* it is refused"):
        exporter.verify(fp32[1], other, held_out)
    other.classifier = Small()
    with pytest.raises(HearlessError, match="it is refused"):
        exporter.export(other, tmp_path / "net.pte", CARD, held_out, tolerance=-1.0)
    assert list(tmp_path.iterdir()) == []


def test_the_program_listens(fp32: tuple[Pipeline, Path, Card], tmp_path: Path) -> None:
    observation, classes = tones(6, seed=3)
    for number, samples in enumerate(observation.numpy()):
        soundfile.write(tmp_path / f"{number}.wav", samples, 1000, subtype="FLOAT")
    result = CliRunner().invoke(cli.app, ["predict", str(fp32[1]), str(tmp_path), "--json", "--top", "1"])
    said = [next(iter(one["scores"])) for one in json.loads(result.stdout)]
    assert said == [CARD.labels[i] for i in classes.tolist()]


def test_wrong_input_is_refused(fp32: tuple[Pipeline, Path, Card], held_out: Tensor, tmp_path: Path) -> None:
    pipeline, path, _ = fp32
    program = exporter.Program(path)
    with pytest.raises(HearlessError, match="hears 1000 Hz and nothing else, got a waveform at 16000 Hz"):
        program.classify(held_out.numpy(), 16000)
    with pytest.raises(HearlessError, match=r"exactly 500 samples, got shape \(48, 400\)"):
        program.logits(held_out[:, :400].numpy())
    with pytest.raises(HearlessError, match=r"needs its card gone\.json beside it"):
        exporter.Program(tmp_path / "gone.pte")
    (tmp_path / "broken.pte").write_bytes(b"nothing")
    (tmp_path / "broken.json").write_text(CARD.to_text())
    with pytest.raises(HearlessError, match="cannot be run by ExecuTorch"):
        exporter.Program(tmp_path / "broken.pte")
    with pytest.raises(HearlessError, match="as the pipeline does, got 500 Hz"):
        exporter.export(pipeline, tmp_path / "net.pte", replace(CARD, rate_hz=500), held_out)
