from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hearless.artifact import KEY, Artifact, Card
from hearless.interfaces import HearlessError
from hearless.predict import Listener, predict

onnx = pytest.importorskip("onnx", reason="needs hearless[onnx]")
pytest.importorskip("onnxruntime", reason="needs hearless[onnx]")

CARD = Card(
    run="r-0/fold1-seed0", labels=("quiet", "loud"), rate_hz=1000, window_s=0.5, licence="CC0", free_length=True,
    min_window_s=0.1, temperature=2.0, thresholds=(0.5, 0.4), none_below=0.6, parity={"clips": 3.0},
)  # fmt: skip


REMEDY = "take the original recording or a listener for a lower rate."


def write(path: Path, card: Card | None = CARD) -> Path:
    """Write a file whose logits are minus and plus the mean over time."""
    helper, kinds = onnx.helper, onnx.TensorProto
    values = [("axes", np.array([1])), ("signs", np.array([[-1.0, 1.0]], np.float32))]
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["observation", "axes"], ["mean"], keepdims=1),
            helper.make_node("MatMul", ["mean", "signs"], ["logits"]),
        ],
        "mean",
        [helper.make_tensor_value_info("observation", kinds.FLOAT, ["n", "time"])],
        [helper.make_tensor_value_info("logits", kinds.FLOAT, ["n", 2])],
        [onnx.numpy_helper.from_array(value, name) for name, value in values],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    if card is not None:
        helper.set_model_props(model, {KEY: card.to_text()})
    onnx.save(model, str(path))
    return path


def constant(level: float, n_samples: int = 500) -> np.ndarray:
    return np.full((1, n_samples), level, np.float32)


def test_logits_are_those_of_the_file_and_scores_are_calibrated(tmp_path: Path) -> None:
    artifact = Artifact(write(tmp_path / "a.onnx"), threads=1)
    assert artifact.labels == ("quiet", "loud")
    assert artifact.rate_hz == 1000
    assert artifact.card == CARD
    np.testing.assert_allclose(artifact.logits(np.vstack([constant(3.0), constant(-1.0)])), [[-3, 3], [1, -1]])
    np.testing.assert_allclose(artifact.classify(constant(3.0), 1000), [[-1.5, 1.5]])
    scores = artifact.predict(constant(3.0)[0], 1000)
    assert [*scores] == ["loud", "quiet"]
    assert scores["loud"] == pytest.approx(1 / (1 + np.exp(-3.0)))
    several = Artifact(write(tmp_path / "b.onnx", replace(CARD, multi_label=True)))
    assert several.predict(constant(3.0)[0], 1000)["loud"] == pytest.approx(1 / (1 + np.exp(-1.5)))


def test_other_rates_and_lengths_are_refused(tmp_path: Path) -> None:
    artifact = Artifact(write(tmp_path / "a.onnx"))
    with pytest.raises(HearlessError, match="hears 1000 Hz and nothing else, got a waveform at 16000 Hz; resample"):
        artifact.predict(constant(1.0)[0], 16000)
    with pytest.raises(HearlessError, match=r"hears at least 0.1 s at once, got 99 samples"):
        artifact.classify(constant(1.0, 99), 1000)
    assert artifact.classify(constant(1.0, 100), 1000).shape == (1, 2)
    fixed = Artifact(write(tmp_path / "b.onnx", replace(CARD, free_length=False)))
    with pytest.raises(HearlessError, match="hears exactly 500 samples at once, got 501"):
        fixed.classify(constant(1.0, 501), 1000)
    for wrong in (constant(1.0)[0], constant(np.nan), constant(1.0)[:0]):
        with pytest.raises(HearlessError, match="hears finite observations of 2 axes"):
            artifact.logits(wrong)


def test_files_that_are_no_artifacts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(HearlessError, match="is not there"):
        Artifact(tmp_path / "gone.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"nothing")
    with pytest.raises(HearlessError, match="cannot be run by onnxruntime"):
        Artifact(tmp_path / "broken.onnx")
    with pytest.raises(HearlessError, match="holds no card of hearless"):
        Artifact(write(tmp_path / "bare.onnx", None))
    with pytest.raises(HearlessError, match="threads must be at least 1, got 0"):
        Artifact(tmp_path / "gone.onnx", threads=0)


def test_a_card_survives_its_text_and_what_is_wrong_is_refused() -> None:
    assert Card.from_text(CARD.to_text(), "x") == CARD
    later = json.dumps({**json.loads(CARD.to_text()), "colour": "red"})
    assert Card.from_text(later, "x") == CARD
    with pytest.raises(HearlessError, match="x is of format 2, this hearless reads 1"):
        Card.from_text(replace(CARD, format=2).to_text(), "x")
    for text in ("no json", "[1, 2]", '{"run": "r"}'):
        with pytest.raises(HearlessError, match="x holds no readable card"):
            Card.from_text(text, "x")
    for wrong, said in (
        ({"labels": ()}, "got 0 labels"),
        ({"window_s": 0.0}, r"0.0 s"),
        ({"precision": "fp8"}, "one of fp32, int8"),
        ({"source_rate_hz": -1}, r"must be 0 \(not told\) or above, got -1"),
        ({"temperature": 0.0}, "temperature must be a number above 0"),
        ({"none_below": 1.5}, "scores from 0 to 1"),
        ({"thresholds": (0.5,)}, "one a class or none, got 1 for 2"),
    ):
        with pytest.raises(HearlessError, match=said):
            replace(CARD, **wrong)


def test_it_is_a_listener(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "loud.wav", np.full(16000, 0.9), 16000, subtype="FLOAT")
    soundfile.write(tmp_path / "slow.wav", np.full(500, 0.9), 500)
    listener = Listener(**Artifact(write(tmp_path / "a.onnx")).listening)
    loud, slow = predict(listener, tmp_path)
    assert loud.error is None
    assert loud.ranked() == pytest.approx({"loud": 1 / (1 + np.exp(-0.9)), "quiet": 1 / (1 + np.exp(0.9))}, rel=1e-3)
    assert "recorded at 1000 Hz or more, got 500 Hz" in str(slow.error)


def test_a_file_below_the_shortest_window_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "short.wav", np.full(99, 0.9), 1000)
    for free_length in (True, False):
        card = replace(CARD, free_length=free_length)
        (said,) = predict(Listener(**Artifact(write(tmp_path / "a.onnx", card)).listening), tmp_path / "short.wav")
        assert ("needs at least 0.1 s of sound, got 0.099 s" in str(said.error)) == free_length


def test_sound_is_up_sampled_as_far_as_in_training(tmp_path: Path) -> None:
    for rate_hz in (500, 800, 1000):
        soundfile.write(tmp_path / f"{rate_hz:04d}.wav", np.full(10 * rate_hz, 0.9), rate_hz, subtype="FLOAT")

    def refused(source_rate_hz: int) -> list[str | None]:
        card = replace(CARD, source_rate_hz=source_rate_hz)
        listener = Listener(**Artifact(write(tmp_path / "a.onnx", card)).listening)
        return [one.error and one.error.partition("listener ")[2] for one in predict(listener, tmp_path)]

    assert refused(0) == [f"needs sound recorded at 1000 Hz or more, got {hz} Hz; {REMEDY}" for hz in (500, 800)] + [
        None
    ]
    assert refused(800) == [f"needs sound recorded at 800 Hz or more, got 500 Hz; {REMEDY}", None, None]
    assert refused(16000) == refused(0)
    (kept,) = predict(Listener(**Artifact(write(tmp_path / "a.onnx", replace(CARD, source_rate_hz=800))).listening),
                      tmp_path / "0800.wav")  # fmt: skip
    assert kept.ranked()["loud"] == pytest.approx(1 / (1 + np.exp(-0.9)), rel=1e-3)


def test_nothing_of_the_training_stack_is_imported(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "loud.wav", np.full(16000, 0.9), 16000, subtype="FLOAT")
    write(tmp_path / "a.onnx")
    script = (
        "import sys\n"
        "from hearless.artifact import Artifact\n"
        "from hearless.predict import Listener, predict\n"
        "found, = predict(Listener(**Artifact('a.onnx', threads=1).listening), 'loud.wav')\n"
        "print(max(found.ranked().items(), key=lambda one: one[1])[0])\n"
        "print(sorted({'torch', 'lightning_fabric', 'sklearn', 'onnx'} & sys.modules.keys()))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.split("\n") == ["loud", "[]", ""], done.stderr
