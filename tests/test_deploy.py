"""Runs as files and against budgets: what is written, what it says of itself, what is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from hearless import cli, deploy, door, evaluate
from hearless.artifact import Artifact, Card
from hearless.captures.low_rate import LowRate
from hearless.classifiers.ds_flexinet import DSFlexiNet
from hearless.cli.deploying import _print_exported
from hearless.complexity import Peak, peak_activations
from hearless.datasets.csv_labels import CsvLabels
from hearless.frontends.preemphasis_mel import PreEmphasisMel
from hearless.interfaces import HearlessError
from hearless.lab import Bench, Lab
from hearless.objectives.cross_entropy import CrossEntropy
from hearless.pipeline import PipelineSpec
from hearless.quantize import Quantized
from hearless.recipe import Recipe, Stage
from hearless.run import Predictions, Run
from hearless.spec import spec

pytest.importorskip("onnxruntime", reason="needs hearless[onnx]")
pytest.importorskip("torchao", reason="needs hearless[onnx]")
pytestmark = pytest.mark.usefixtures("cached")

PLAIN = """
from __future__ import annotations
from torch import nn
from hearless.interfaces import Prediction
class Plain(nn.Module):
    min_bands, min_frames = 8, 8
    def __init__(self, *, n_classes: int = 3) -> None:
        super().__init__()
        self.n_classes = n_classes
        self.body = nn.Sequential(nn.Conv2d(1, 8, 3, stride=2, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.last = nn.Conv2d(8, n_classes, 1)
    def forward(self, features, keep=None, *, maps=False):
        inner = self.body(features if keep is None else features * keep)
        return Prediction(self.last(inner).mean((2, 3)), inner.mean((2, 3)), features)
"""
STAGE = Stage((spec(CrossEntropy),), 1)


@pytest.fixture
def made(tiny: Path, tmp_path: Path, on_shelf: Callable[[str, str, str], type]) -> Callable[[Stage], Run]:
    """Return what trains a small network on the tiny table."""

    def run(stage: Stage) -> Run:
        network = spec(on_shelf("classifiers", "Plain", PLAIN))
        frontend = spec(PreEmphasisMel, input_rate_hz=1000, bands=24)
        student = PipelineSpec(spec(LowRate, rate_hz=1000), frontend, network)
        recipe = Recipe(spec(CsvLabels, table="meta.csv"), student, (stage,), batch_size=8, name="x/plain")
        return Lab(tmp_path / "runs", tiny).run(recipe, "1", 0)

    return run


def hearless(*words: object, code: int = 0) -> str:
    result = CliRunner().invoke(cli.app, [str(word) for word in words], env={"COLUMNS": "100"})
    assert result.exit_code == code, result.output
    return result.stdout if code == 0 else result.output


def test_a_run_trained_in_int8_is_judged_loaded_and_exported_in_int8(
    made: Callable[[Stage], Run], tiny: Path, tmp_path: Path
) -> None:
    run = made(replace(STAGE, quantized="onnx"))
    home = Lab(run.path.parent.parent, tiny)
    bench = Bench.prepare(home, run.recipe, "1", 0, None)
    pipeline = door.load(run).pipeline
    assert isinstance(pipeline.classifier, Quantized)
    assert pipeline.classifier.stage == "int8"
    stored = Predictions.load(run.predictions("test"))
    again = evaluate.predictions(pipeline, bench.loader(bench.test))
    np.testing.assert_array_equal(again.logits, stored.logits)

    written = deploy.export(run, tiny, out=tmp_path / "net.onnx")
    assert written.path == tmp_path / "net.onnx"
    artifact = Artifact(written.path)
    observed = home.observed(run, "test", 64)
    assert observed.shape == (12, 500)
    np.testing.assert_allclose(artifact.logits(observed.numpy()), stored.logits, atol=1e-2)
    assert (artifact.card.precision, artifact.card.int8_parameters) == ("int8", 72 + 24)
    assert artifact.card.run == f"{run.path.parent.name}/fold1-seed0"
    assert artifact.card.temperature == pytest.approx(run.measured["temperature"])
    assert artifact.card.source_rate_hz == 8000  # the recordings', though its sensor would hear 16 kHz
    (in_int8,) = [one for one in written.stored if one.part == "classifier" and one.dtype == "int8"]
    assert in_int8.n_bytes == in_int8.numbers >= 72 + 24
    assert deploy.budget(run).precision == "int8"
    with pytest.raises(HearlessError, match=r"was trained in int8 for onnx, .* train it with --set backend=executorch"):
        deploy.export(run, tiny, "executorch")
    with pytest.raises(HearlessError, match=r"judge the file on clips of your own\. It is furthest off at \S+\.$"):
        deploy.export(run, tiny, tolerance=-1.0)


def test_a_float_run_is_rounded_as_it_is_exported_and_says_what_to_do_next(
    made: Callable[[Stage], Run], tiny: Path, tmp_path: Path
) -> None:
    run = made(STAGE)
    text = hearless("export", run.path, "--int8", "--root", tiny)
    (file,) = (run.path / "exports").iterdir()
    assert file.name == "x-plain-int8.onnx"
    assert f"{file} written" in text
    assert "115 parameters, 96 of them int8" in text
    assert "Against PyTorch on 12 clips it never heard" in text
    assert "the same label for 100.0%" in text
    assert "Licences: recordings (CsvLabels): the user's own." in text
    assert f"hearless predict {file} MY_SOUNDS/" in text
    told = hearless("budget", file, "--max-bytes", "10M")
    assert "What the file keeps" in told
    assert f"pass: {file.stat().st_size:,} bytes of the file of 10,000,000 allowed" in told
    stored = Predictions.load(run.predictions("test")).logits
    observed = Lab(tmp_path, tiny).observed(run, "test", 64)
    np.testing.assert_allclose(Artifact(file).logits(observed.numpy()), stored, atol=0.1)

    said = json.loads(hearless("export", run.path, "--root", tiny, "--out", tmp_path / "net.onnx", "--json"))
    assert (said["card"]["precision"], said["card"]["int8_parameters"]) == ("fp32", 0)
    assert said["card"]["parity"]["max_logit_difference"] < 1e-4
    assert 3.5 < said["bytes_per_parameter"] < 5
    refused = hearless("export", run.path, "--root", tiny, "--tolerance", "1e-12", code=1)
    assert "must give PyTorch's logits within 1e-12" in refused
    assert "of 12 labels differ" in refused
    assert re.search(r"judge the file on clips of your own\. It is furthest off at \S+\.$", refused.strip())
    rounded = hearless("export", run.path, "--root", tiny, "--int8", "--tolerance", "1e-12", code=1)
    assert "Or export it without --int8, or train it in int8." in rounded
    assert [path.name for path in (run.path / "exports").iterdir()] == [file.name]


def test_what_cannot_be_exported_is_refused_with_a_remedy(
    made: Callable[[Stage], Run], tiny: Path, tmp_path: Path
) -> None:
    run = made(STAGE)
    for words, match in (
        (["--to", "tflite"], "--to must be one of onnx, executorch, got 'tflite'"),
        (["--out", tmp_path / "net.pte"], "a file for onnx must end in .onnx"),
    ):
        assert match in hearless("export", run.path, "--root", tiny, *words, code=1)
    with pytest.raises(HearlessError, match=r"name the folder of its recordings \(CsvLabels\) with --root"):
        door.export(run)
    seen = run.read("clips.json")
    run.write("clips.json", {**seen, "training": ["elsewhere"]})
    with pytest.raises(HearlessError, match="must hold the recordings that"):
        deploy.export(run, tiny)


def test_a_budget_passes_or_fails_and_says_where_the_cost_sits(made: Callable[[Stage], Run]) -> None:
    run = made(STAGE)
    text = hearless("budget", run.path, "--max-bytes", "0.5k", "--max-macs", "1M")
    assert "pass: 460 bytes of weights of 500 allowed" in text
    assert "115 parameters, 460 bytes in fp32" in text
    assert text.index("classifier.body.0") < text.index("classifier.body.1")
    failed = hearless("budget", run.path, "--max-bytes", "400", code=1)
    assert "FAIL: 460 bytes of weights of 400 allowed" in failed
    assert "That is the network alone: its front end's tables come on top. An exported file tells" in text
    in_int8 = hearless("budget", run.path, "--max-bytes", 400, "--precision", "int8")
    assert "pass: 115 bytes of weights of 400 allowed" in in_int8
    assert "biases, scales and Residual Normalization's λ stay float32" in in_int8
    said = json.loads(hearless("budget", run.path, "--json"))
    places = 11 * 24  # 24 bands and 50 frames, by 3 × 3 in steps of 2
    assert said["macs"] == 72 * places + 16 + 27 * places
    assert said["bytes"] == {"fp32": 460, "fp16": 230, "int8": 115}
    assert said["peak_activation_bytes"]["fp32"] == 4 * (24 * 50 + 8 * places)
    assert said["peak_at"] == "classifier.body.0"
    ram = 4 * (24 * 50 + 8 * places)
    failed = hearless("budget", run.path, "--max-ram", ram - 1, code=1)
    assert f"FAIL: {ram:,} bytes of activations of {ram - 1:,} allowed" in failed
    assert "pass: " in hearless("budget", run.path, "--max-ram", ram)
    assert "--max-macs must be such as" in hearless("budget", run.path, "--max-macs", "30Q", code=1)
    assert "--precision must be one of" in hearless("budget", run.path, "--precision", "int4", code=1)


@pytest.mark.parametrize(
    ("text", "value"),
    [("128k", 128_000), ("128 kB", 128_000), ("128KiB", 131_072), ("30M", 30_000_000), ("1.5m", 1_500_000),
     ("131072", 131_072), ("131,072 B", 131_072), ("2G", 2 * 10**9)],
)  # fmt: skip
def test_sizes_are_read_as_people_write_them(text: str, value: int) -> None:
    assert deploy.size(text) == value


@pytest.mark.parametrize("text", ["", "k", "-1k", "0", "12 apples", "1e6", "12,3", "1.2.3k"])
def test_sizes_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(HearlessError, match="--max-bytes must be such as 128k"):
        deploy.size(text, "--max-bytes")


# --- activations ----------------------------------------------------------------------------------------------------


class Forked(nn.Module):
    """One map that waits for another."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.narrow = nn.Conv2d(1, 10, 1), nn.Conv2d(10, 1, 1)
        self.norm = nn.BatchNorm2d(10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = self.norm(self.wide(x)).relu()
        return self.narrow(inner.flatten(2).unflatten(2, x.shape[2:])) + x


def test_a_hand_count_of_activations() -> None:
    network = Forked().eval()
    # 4 × 5 in: it waits for the sum while its 10 maps are made, normalised in place and made into one
    assert peak_activations(network, torch.randn(1, 1, 4, 5)) == Peak(20 + 200 + 20, "narrow")
    assert peak_activations(nn.Sequential(nn.ReLU()), torch.randn(1, 6)) == Peak(6, "input")


def test_the_peak_of_ds_flexinet_lies_at_its_stem() -> None:
    class Logits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = DSFlexiNet(size="sm1", n_classes=10)

        def forward(self, features: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.network(features).logits
            return logits

    peak = peak_activations(Logits().eval(), torch.randn(1, 1, 256, 64))
    assert 2 * 20 * 64 * 16 <= peak.values <= 5 * 20 * 64 * 16


def test_a_network_without_a_graph_is_refused() -> None:
    class Looking(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.sum().item() > 0 else -x

    with pytest.raises(HearlessError, match="Looking has no graph to read its activations from"):
        peak_activations(Looking(), torch.randn(1, 3))


def test_what_is_counted_on_a_run_says_which_run_to_name(tmp_path: Path) -> None:
    file = tmp_path / "my run" / "exports" / "model.onnx"
    said = hearless("budget", file, "--max-macs", "30M", code=1)
    assert f"got the exported file {file}; type: hearless budget RUN" in said
    Run(file.parents[1]).write("done.json", {})
    assert f"type: hearless budget '{file.parents[1]}' (" in hearless("budget", file, "--max-ram", "1k", code=1)
    assert "model.onnx is not there" in hearless("budget", file, code=1)


def test_the_budget_of_a_file_is_its_size(tmp_path: Path) -> None:
    file = tmp_path / "net.pte"
    file.write_bytes(b"0" * 300)
    assert "needs its card net.json beside it; copy both together" in hearless("budget", file, code=1)
    card = Card("x/fold1-seed0", ("a", "b"), 1000, 1.0)
    file.with_suffix(".json").write_text(card.to_text())
    assert "pass: 300 bytes of the file of 300 allowed" in hearless("budget", file, "--max-bytes", "300")
    assert "FAIL: 300 bytes of the file of 299 allowed" in hearless("budget", file, "--max-bytes", "299", code=1)
    said = json.loads(hearless("budget", file, "--json"))
    assert (said["passes"], said["files"]) == (True, [str(file), str(file.with_suffix(".json"))])


def test_a_program_and_its_card_are_both_announced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parity = {
        "clips": 61.0, "max_logit_difference": 0.0259, "tolerance": 0.03, "label_agreement": 60 / 61,
        "labels_differ": 1.0, "near_ties_differ": 1.0,
    }  # fmt: skip
    file, card = tmp_path / "net.pte", Card("x/fold1-seed0", ("a", "b"), 1000, 1.0, parity=parity)
    file.write_bytes(b"0")
    file.with_suffix(".json").write_text(card.to_text())
    _print_exported(deploy.exported(file))
    said = capsys.readouterr().out
    assert f"{file.with_suffix('.json')} written: its card. Copy both." in said
    assert "the same label for 98.4% (1 of 61 differ, 1 of them in near-ties)." in said
