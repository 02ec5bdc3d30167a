"""What rests is made once: what enters the first part that trains, and when it has to be made anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hearless import spec
from hearless.augmentations.roll import Roll
from hearless.captures.full_band import FullBand
from hearless.classifiers.mobilenetv3 import MobileNetV3
from hearless.datasets.csv_labels import CsvLabels
from hearless.frontends.preemphasis_mel import PreEmphasisMel
from hearless.heads.score_mlp import ScoreMLP
from hearless.interfaces import HearlessError, Prediction
from hearless.loading import Loader, open_store, read_table
from hearless.pipeline import Pipeline, PipelineSpec
from hearless.resting import Kept, first_trained, known, size


@pytest.fixture
def loader(tiny: Path) -> Loader:
    table = read_table(CsvLabels(table="meta.csv"), tiny)
    return Loader(table, open_store(table, 8000), table.clips, 0.5, 5)


@pytest.fixture
def pipeline() -> Pipeline:
    made = PipelineSpec(
        spec.spec(FullBand, rate_hz=8000), spec.spec(PreEmphasisMel, input_rate_hz=8000, mel_bands=16),
        spec.spec(MobileNetV3, n_classes=4, width=0.2), head=spec.spec(ScoreMLP, n_scores=4),
    )  # fmt: skip
    return made.build(3).eval()


@pytest.mark.parametrize("part", ["enhancer", "classifier", "head"])
@torch.no_grad()
def test_what_enters_and_goes_on_is_what_the_whole_pipeline_says(pipeline: Pipeline, loader: Loader, part: str) -> None:
    once = known(pipeline, part, loader)
    assert once is not None
    for batch in loader.epoch(0, 0):
        features, keep = pipeline.hear(batch)
        whole, parts = pipeline.judge(features, keep), pipeline.onward(part, once(batch))
        torch.testing.assert_close(parts.logits, whole.logits, rtol=1e-4, atol=1e-5)
        assert parts.features is not None
        torch.testing.assert_close(parts.features, features)


@pytest.mark.parametrize(
    "change",
    [
        lambda loader: replace(loader, augmentations=(Roll(max_s=0.1),)),
        lambda loader: replace(loader, background=0.5),
        lambda loader: replace(loader, clip_s=0.25),
    ],
)
def test_clips_that_change_are_not_known(
    pipeline: Pipeline, loader: Loader, change: Callable[[Loader], Loader]
) -> None:
    assert loader.repeats
    assert not change(loader).repeats
    assert known(pipeline, "classifier", change(loader)) is None


def test_clips_that_would_not_fit_are_not_known(pipeline: Pipeline, loader: Loader) -> None:
    whole = known(pipeline, "classifier", loader)
    assert whole is not None
    assert known(pipeline, "classifier", loader, limit=size(whole.entering) - 1) is None
    assert known(pipeline, "classifier", loader, limit=size(whole.entering)) is not None


def test_results_over_the_limit_are_made_anew() -> None:
    made = []

    def make(n: int) -> torch.Tensor:
        made.append(n)
        return torch.full((4,), float(n))

    kept = Kept(limit=16)
    for _ in range(2):
        assert [kept.of(n, lambda n=n: make(n))[0].item() for n in (1, 2)] == [1.0, 2.0]
    assert made == [1, 2, 2]


def test_all_tensors_of_a_prediction_count() -> None:
    said = Prediction(torch.zeros(2, 3), torch.zeros(2, 5), torch.zeros(2, 1, 4, 4), {"inner": torch.zeros(2, 7)})
    assert size(said) == 4 * 2 * (3 + 5 + 16 + 7)
    assert size((said.logits, "no tensor")) == 24


def test_a_part_that_is_not_there_is_refused(pipeline: Pipeline) -> None:
    assert first_trained(pipeline, ("head", "classifier")) == "classifier"
    with pytest.raises(HearlessError, match=r"trains must name a part of the pipeline \(classifier, head\), got"):
        first_trained(pipeline, ("enhancer",))
