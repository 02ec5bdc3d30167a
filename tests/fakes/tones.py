"""Tones that a network learns in seconds, and a pipeline that did; tests load this file by its path."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from hearless.captures.low_rate import LowRate
from hearless.classifiers.ds_flexinet import DSFlexiNet
from hearless.classifiers.mobilenetv3 import MobileNetV3
from hearless.frontends.preemphasis_mel import PreEmphasisMel
from hearless.pipeline import Pipeline

RATE_HZ, WINDOW_S = 1000, 0.5
LABELS = ("low", "middle", "high")
TONES_HZ = (90.0, 200.0, 380.0)


def tones(n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return observations ``[n, time]`` at 1 kHz, a tone in noise each, and their classes."""
    rng = torch.Generator().manual_seed(seed)
    classes = torch.randint(3, (n,), generator=rng)
    time_s = torch.arange(round(RATE_HZ * WINDOW_S)) / RATE_HZ
    phase, level = (torch.rand(n, 1, generator=rng) for _ in range(2))
    turns = torch.tensor(TONES_HZ)[classes][:, None] * time_s + phase
    tone = (0.1 + 0.3 * level) * torch.sin(2.0 * math.pi * turns)
    return tone + 0.05 * torch.randn(n, len(time_s), generator=rng), classes


def train(pipeline: Pipeline, n_steps: int, rate: float) -> None:
    """Train the classifier of a pipeline on tones."""
    network: nn.Module = pipeline.classifier
    optimizer = torch.optim.Adam(network.parameters(), rate)
    network.train()
    for step in range(n_steps):
        observation, classes = tones(24, step)
        loss = nn.functional.cross_entropy(network(pipeline.features(observation)).logits, classes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    pipeline.eval()


def taught(kind: str = "flexinet", n_steps: int = 60) -> Pipeline:
    """Return a pipeline that knows its tones: DS-FlexiNet sm1 or MobileNetV3 of width 0.2."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = (
            DSFlexiNet(size="sm1", n_classes=3) if kind == "flexinet"
            else MobileNetV3(width=0.2, n_classes=3, dropout=0.0)
        )  # fmt: skip
        frontend = PreEmphasisMel(input_rate_hz=RATE_HZ, bands=32)
        pipeline = Pipeline(capture=LowRate(rate_hz=RATE_HZ), frontend=frontend, classifier=network)
        train(pipeline, n_steps, 3e-3)
    return pipeline
