"""View and pipeline: how parts meet, which of them train, what is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hearless.augmentations.gain import Gain
from hearless.captures.full_band import FullBand
from hearless.captures.low_rate import LowRate
from hearless.classifiers import cnn14
from hearless.classifiers.mobilenetv3 import MobileNetV3
from hearless.frontends.log_mel import LogMel
from hearless.frontends.preemphasis_mel import PreEmphasisMel
from hearless.interfaces import HearlessError, Prediction
from hearless.pipeline import PARTS, Pipeline, PipelineSpec
from hearless.spec import Spec, spec

LOW = PipelineSpec(spec(LowRate), spec(PreEmphasisMel, input_rate_hz=1000, bands=32), spec(MobileNetV3, width=0.2))
RATE_HZ = 8000


def noise(n_clips: int = 3, seconds: float = 0.3, seed: int = 0) -> Tensor:
    return 0.1 * torch.randn(n_clips, round(seconds * RATE_HZ), generator=torch.Generator().manual_seed(seed))


def built(made: PipelineSpec = LOW, n_classes: int = 3, **parts: nn.Module) -> Pipeline:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        pipeline = made.build(n_classes)
    for name, part in parts.items():
        setattr(pipeline, name, part)
    return pipeline


def lively() -> Pipeline:
    """A pipeline whose norms know their inputs: without, an untrained network says the same of everything."""
    pipeline = built().train()
    for module in pipeline.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(2)
        pipeline(pipeline.observe(noise(8), RATE_HZ))
    return pipeline.eval()


class Head(nn.Module):
    """Adds a linear layer behind the scores."""

    def __init__(self, n_in: int, n_classes: int) -> None:
        super().__init__()
        self.n_classes, self.linear = n_classes, nn.Linear(n_in, n_classes)

    def forward(self, prediction: Prediction) -> Prediction:
        return replace(prediction, logits=self.linear(prediction.logits))


class Ear(nn.Module):
    """A capture that says what it was told."""

    rate_hz, source_rate_hz, minimum_rate_hz = 8000, 16000, 1

    def forward(self, waveform: Tensor, rate_hz: int, devices: Sequence[str | None] = ()) -> Tensor:
        return torch.tensor([[rate_hz, len(devices)]])


@pytest.mark.parametrize("enhancer", [None, Spec("enhancers", "Any", MappingProxyType({}))])
def test_json_round_trip(enhancer: Spec | None) -> None:
    made = replace(LOW, enhancer=enhancer)
    data = json.loads(json.dumps(made.to_json()))
    assert set(data) == {"capture", "frontend", *PARTS}
    if enhancer is None:
        assert PipelineSpec.from_json(data) == made
    else:
        with pytest.raises(HearlessError, match="enhancers has no class 'Any'"):
            PipelineSpec.from_json(data)


def test_a_part_of_another_shelf_is_refused() -> None:
    with pytest.raises(HearlessError, match="capture must be a class of captures, got frontends/PreEmphasisMel"):
        PipelineSpec(LOW.frontend, LOW.frontend, LOW.classifier)
    with pytest.raises(HearlessError, match="head must be a class of heads, got augmentations/Gain"):
        replace(LOW, head=spec(Gain))


def test_hearing_changes_the_view_alone() -> None:
    view = spec(FullBand, rate_hz=8000), spec(PreEmphasisMel, input_rate_hz=8000)
    other = LOW.hearing(*view)
    assert (other.capture, other.frontend) == view
    assert other.classifier is LOW.classifier
    assert other.hearing(LOW.capture, LOW.frontend) == LOW


def test_a_frontend_of_another_rate_is_refused() -> None:
    with pytest.raises(HearlessError, match=r"input_rate_hz must be the capture's rate_hz, got 16000 and 1000; set"):
        LOW.hearing(LOW.capture, spec(PreEmphasisMel, input_rate_hz=16000)).build(3)


def test_forward_is_frontend_then_classifier() -> None:
    pipeline = built().eval()
    with torch.no_grad():
        observation = pipeline.observe(noise(), RATE_HZ)
        by_hand = pipeline.classifier(pipeline.frontend(observation))
        heard = pipeline(observation)
        asked = pipeline(observation, maps=True)
    assert observation.shape == (3, 300)
    assert torch.equal(observation, LowRate()(noise(), RATE_HZ))
    assert torch.equal(heard.logits, by_hand.logits)
    assert torch.equal(heard.features, pipeline.features(observation))
    axes = pipeline.axes(300)
    assert heard.features.shape == (3, 1, len(axes.band_hz), axes.n_frames)
    assert not heard.maps
    assert asked.maps


def test_keep_reaches_the_classifier() -> None:
    pipeline = lively()
    with torch.no_grad():
        features = pipeline.features(pipeline.observe(noise(), RATE_HZ))
        ones = torch.ones_like(features)
        plain, kept, masked = (
            pipeline.judge(features),
            pipeline.judge(features, ones),
            pipeline.judge(features, 0 * ones),
        )
    torch.testing.assert_close(plain.logits, kept.logits)
    torch.testing.assert_close(masked.logits, masked.logits[:1].expand(3, -1))
    assert (plain.logits - masked.logits).abs().max() > 1e-3


def test_enhancer_and_head_stand_before_and_behind_the_classifier() -> None:
    enhancer, head = nn.BatchNorm2d(1), Head(3, 5)
    pipeline = built(enhancer=enhancer, head=head).eval()
    enhancer.running_mean = torch.tensor([0.5])
    with torch.no_grad():
        features = pipeline.features(pipeline.observe(noise(), RATE_HZ))
        expected = head(pipeline.classifier(enhancer(features)))
        heard = pipeline.judge(features)
    assert torch.equal(heard.logits, expected.logits)
    assert heard.logits.shape == (3, 5)
    assert (pipeline.n_classes, list(pipeline.parts())) == (5, list(PARTS))
    assert (built(n_classes=4).n_classes, list(built().parts())) == (4, ["classifier"])


def test_the_capture_is_told_rate_and_devices() -> None:
    pipeline = Pipeline(capture=Ear(), frontend=LogMel(input_rate_hz=8000), classifier=nn.Identity())
    assert pipeline.observe(noise(), 8000, ("a", None, "b")).tolist() == [[8000, 3]]
    assert pipeline.source_rate_hz == 16000
    assert built().source_rate_hz == 16000


def test_a_classifier_with_an_input_norm_gets_the_frontends_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, Any]] = []

    class Cnn14(nn.Module):
        """Takes what Cnn14 takes."""

        n_classes = min_frames = 1

        def __init__(self, *, n_classes: int = 527, n_bands: int = 64) -> None:
            super().__init__()
            seen.append({"n_classes": n_classes, "n_bands": n_bands})

    Cnn14.__module__ = cnn14.__name__
    monkeypatch.setattr(cnn14, "Cnn14", Cnn14)
    view = PipelineSpec(spec(LowRate), spec(LogMel, input_rate_hz=1000, bands=40), spec(Cnn14))
    view.build(7)
    replace(view, frontend=spec(LogMel, input_rate_hz=1000)).build(7)
    assert seen == [{"n_classes": 7, "n_bands": 40}, {"n_classes": 7, "n_bands": 64}]


@pytest.mark.parametrize("names", [("classifier",), ("enhancer",), ("enhancer", "head"), PARTS])
def test_only_the_named_parts_train(names: tuple[str, ...]) -> None:
    pipeline = built(enhancer=nn.BatchNorm2d(1), head=Head(3, 3))
    parameters = pipeline.train_only(names)
    expected = [p for name in PARTS if name in names for p in getattr(pipeline, name).parameters()]
    assert [id(p) for p in parameters] == [id(p) for p in expected]
    assert {id(p) for p in pipeline.parameters() if p.requires_grad} == {id(p) for p in expected}
    assert {name for name, part in pipeline.parts().items() if part.training} == set(names)
    assert all(m.training for name in names for m in getattr(pipeline, name).modules())
    assert not pipeline.frontend.training


def test_a_part_at_rest_keeps_its_statistics_and_one_that_trains_does_not() -> None:
    pipeline = built(enhancer=nn.BatchNorm2d(1))
    pipeline.train_only(("enhancer",))
    before = {key: value.clone() for key, value in pipeline.state_dict().items()}
    pipeline(pipeline.observe(noise(), RATE_HZ)).logits.square().sum().backward()
    changed = {key for key, value in pipeline.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == {"enhancer.running_mean", "enhancer.running_var", "enhancer.num_batches_tracked"}
    assert [name for name, p in pipeline.named_parameters() if p.grad is not None] == [
        "enhancer.weight",
        "enhancer.bias",
    ]
    pipeline.train_only(("classifier",))
    pipeline(pipeline.observe(noise(), RATE_HZ))
    assert any(
        key.startswith("classifier.") and not torch.equal(value, before[key])
        for key, value in pipeline.state_dict().items()
    )
    assert torch.equal(pipeline.state_dict()["enhancer.num_batches_tracked"], torch.tensor(1))


def test_on_a_torch_device_it_says_the_same_in_another_layout() -> None:
    plain, moved = lively(), lively()
    assert moved.on("cpu") is moved
    stem = next(m for m in moved.classifier.modules() if isinstance(m, nn.Conv2d) and m.weight.shape[1] > 1)
    assert stem.weight.is_contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        observation = plain.observe(noise(), RATE_HZ)
        expected, found = plain(observation), moved(moved.observe(noise(), RATE_HZ))
    assert torch.equal(found.features, expected.features)
    assert expected.logits.std() > 1e-3
    torch.testing.assert_close(found.logits, expected.logits, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("duration_s", [0.0, 0.0001, 0.01, 0.05, 0.07])
def test_a_clip_too_short_is_refused_as_the_classifier_would(duration_s: float) -> None:
    pipeline = built().eval()
    with pytest.raises(
        HearlessError,
        match=rf"at least 8 frames to MobileNetV3, {duration_s:g} s give \d; set clip_s .of a head",
    ):
        pipeline.check_length(duration_s)


@pytest.mark.parametrize("duration_s", [0.071, 0.1, 0.3])
def test_a_clip_long_enough_passes_and_is_classified(duration_s: float) -> None:
    pipeline = built().eval()
    pipeline.check_length(duration_s)
    with torch.no_grad():
        assert pipeline(torch.randn(1, round(1000 * duration_s))).logits.shape == (1, 3)


def test_the_least_is_the_shortest_clip_that_is_long_enough() -> None:
    pipeline = built().eval()
    assert pipeline.least_s(1.0) == 0.071
    with pytest.raises(HearlessError, match="at least"):
        pipeline.check_length(0.070)
