"""Costs of a recipe: parameters against the network's own, MACs against a count, memory of a fresh process."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from hearless import costs
from hearless.captures.low_rate import LowRate
from hearless.classifiers.mobilenetv3 import MobileNetV3
from hearless.complexity import complexity
from hearless.costs import counted, memory_mb, train_three_steps
from hearless.datasets.csv_labels import CsvLabels
from hearless.frontends.preemphasis_mel import PreEmphasisMel
from hearless.interfaces import HearlessError
from hearless.objectives.cross_entropy import CrossEntropy
from hearless.pipeline import PipelineSpec
from hearless.recipe import Recipe, Stage
from hearless.spec import spec
from hearless.study import COSTS, Row, Study

LABELS = ("hiss", "hum", "tick")
STAGE = Stage((spec(CrossEntropy),), 1)
RECIPE = Recipe(
    spec(CsvLabels, table="meta.csv"),
    PipelineSpec(
        spec(LowRate, rate_hz=1000), spec(PreEmphasisMel, input_rate_hz=1000, path="native", bands=24),
        spec(MobileNetV3, width=0.2),
    ),
    (STAGE,), batch_size=4,
)  # fmt: skip


def test_counts_are_the_networks() -> None:
    network = MobileNetV3(width=0.2, n_classes=3).eval()
    found, frames = counted(RECIPE, LABELS, 1.0), RECIPE.student.frontend.build().axes(1000).n_frames
    assert found["parameters"] == found["trained parameters"] == sum(p.numel() for p in network.parameters()) / 1000
    assert found["MACs"] == pytest.approx(complexity(network, torch.zeros(1, 1, 24, frames)).macs / 1e6)
    assert counted(RECIPE, LABELS, 2.0)["MACs"] == pytest.approx(2 * found["MACs"], rel=0.15)


def test_only_what_a_stage_trains_counts_as_trained() -> None:
    output = replace(STAGE, adapters="output")
    hidden = MobileNetV3(width=0.2, n_classes=3).classifier[-1].in_features
    assert counted(replace(RECIPE, stages=(output,)), LABELS, 1.0)["trained parameters"] == 3 * (hidden + 1) / 1000
    both = counted(replace(RECIPE, stages=(output, STAGE)), LABELS, 1.0)
    assert both["trained parameters"] == both["parameters"]


def test_memory_is_the_peak_of_a_process_and_grows_with_the_batch() -> None:
    small, large = (memory_mb(replace(RECIPE, batch_size=n), LABELS, 1.0) for n in (4, 512))
    assert 100 < small < large - 100


def test_memory_is_measured_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def measure(recipe: Recipe, labels: object, clip_s: float) -> float:
        asked.append(recipe.batch_size)
        return 123.0

    monkeypatch.setattr(costs, "memory_mb", measure)
    for recipe in (RECIPE, RECIPE.named("called otherwise"), replace(RECIPE, batch_size=8)):
        assert costs.costs(recipe, LABELS, 1.0, ("peak memory",), tmp_path) == {"peak memory": 123.0}
    assert asked == [4, 8]


def test_what_the_process_does_and_how_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    adapted = replace(RECIPE, stages=(replace(STAGE, adapters="output"),))
    assert train_three_steps({"recipe": adapted.to_json(), "labels": LABELS, "clip_s": 1.0}) > 50
    failed = SimpleNamespace(returncode=1, stderr="a\nno memory left", stdout="")
    monkeypatch.setattr(subprocess, "run", lambda *given, **more: failed)
    with pytest.raises(HearlessError, match=r"memory could not be measured: .* ended with 1: .*no memory left"):
        memory_mb(RECIPE, LABELS, 1.0)


def test_a_study_names_costs_that_there_are() -> None:
    rows = (Row("a", {}, (RECIPE,)),)
    assert Study("s", "t", "", rows, costs=tuple(COSTS)).costs == tuple(COSTS)
    with pytest.raises(HearlessError, match="costs must be among parameters, trained parameters, MACs, peak memory"):
        Study("s", "t", "", rows, costs=("joules",))
