"""The time-frequency enhancer of paper 002: its share of TFE(n)-EfficientNetV2-B2, and what its curves save.

A share is the enhancer alone over the whole network with it.  What it costs the stem to hand a gradient back to it is
in neither, so one row takes the whole step with the largest enhancer against one without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import cast

import torch
from measure import Row, Way, cost, faster, in_turn
from plain import masked
from torch import Tensor, nn

from hearless.captures.full_band import FullBand
from hearless.classifiers.efficientnetv2 import EfficientNetV2
from hearless.enhancers.time_frequency_enhancer import EnhancerBlock, TimeFrequencyEnhancer
from hearless.frontends.kaldi_fbank import KaldiFbank
from hearless.pipeline import Pipeline, PipelineSpec
from hearless.spec import spec

CLASSES, BANDS = 50, 128

SIZES = (1, 2, 4)
"""Enhancer blocks, as in the paper."""

Part = Callable[[Tensor], Tensor]


def network(n_blocks: int, variant: str = "b2") -> Pipeline:
    """Return TFE(n)-EfficientNetV2 as users have it; without an enhancer for 0."""
    enhancer = spec(TimeFrequencyEnhancer, n_blocks=n_blocks) if n_blocks else None
    classifier = spec(EfficientNetV2, variant=variant)
    return PipelineSpec(spec(FullBand), spec(KaldiFbank), classifier, enhancer).build(CLASSES).on("cpu")


def rows(repeats: int, batch_size: int = 4, n_frames: int = 512, variant: str = "b2") -> Iterator[Row]:
    """Measure the enhancer's share of a training step and of inference, then its form against the literal one."""
    features = torch.randn(batch_size, 1, BANDS, n_frames, generator=torch.Generator().manual_seed(0))
    with_it, without = network(SIZES[-1], variant), network(0, variant)
    for n in SIZES:
        yield from shares(n, network(n, variant), features, repeats)
    steps = [stepping(judging(each, training=True), features) for each in (with_it, without)]
    times = in_turn(steps[0], steps[1], repeats)
    yield cost(f"a whole step with TFE({SIZES[-1]}) / without, ms a clip", *times, scale=1000.0 / batch_size)
    for n in SIZES[1:]:
        yield from forms(n, features, repeats)


def shares(n: int, whole: Pipeline, features: Tensor, repeats: int) -> Iterator[Row]:
    """Measure an enhancer against the whole network that it belongs to; the aim is the largest one's."""
    for when, way in (("training step", stepping), ("inference", hearing)):
        judge = judging(whole, training=way is stepping)
        times = in_turn(way(cast(Part, whole.enhancer), features), way(judge, features), repeats)
        what = f"{when}, TFE({n}) alone / TFE({n})-EfficientNetV2-B2, ms a clip"
        yield cost(what, *times, scale=1000.0 / len(features), aim="≤ 0.05" if n == SIZES[-1] else "")


def forms(n: int, features: Tensor, repeats: int) -> Iterator[Row]:
    """Measure the enhancer against the literal form, which makes a 2-D mask in every block; both agree first."""
    ours = TimeFrequencyEnhancer(n_blocks=n)
    literal = partial(masked, paths=paths(ours))
    torch.testing.assert_close(ours(features), literal(features), atol=1e-5, rtol=0)
    for when, way in (("forward and backward", stepping), ("inference", hearing)):
        times = in_turn(way(ours, features), way(literal, features), repeats)
        yield faster(f"{when}, TFE({n}) by curves / by masks, ms a clip", *times, scale=1000.0 / len(features))


def paths(enhancer: TimeFrequencyEnhancer) -> list[tuple[nn.Module, nn.Module]]:
    """Return each block's two paths, over frames and over bands."""
    return [(block.time, block.frequency) for block in cast("list[EnhancerBlock]", list(enhancer.blocks))]


def judging(pipeline: Pipeline, *, training: bool) -> Part:
    """Return what a pipeline does with features."""
    pipeline.train(training)
    return lambda features: pipeline.judge(features).logits


def stepping(part: Part, features: Tensor) -> Way:
    """Return a forward and a backward pass; gradients are added up."""
    return lambda: torch.autograd.backward(part(features).square().mean())


def hearing(part: Part, features: Tensor) -> Way:
    """Return a forward pass without gradients."""

    def way() -> None:
        with torch.inference_mode():
            part(features)

    return way
