"""Cnn14 of PANNs: six ConvBlocks over log-Mel features, 80.75 million parameters at 527 classes.

Source: Kong et al., PANNs (TASLP 2020); the network of paper 000 ("CNN14").  The published 8, 16 and 32 kHz files
hold the same network behind other front ends.  What differs from the published code: see `_panns`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from hearless.classifiers import _panns
from hearless.interfaces import Prediction, Weights

EXAMPLE: dict[str, Any] = {"n_classes": 3, "n_bands": 32}

WIDTHS = (64, 128, 256, 512, 1024, 2048)


class Cnn14(nn.Module):
    """Six ConvBlocks, global pooling, a 2048-dimensional embedding.

    Maps are ``conv_block1`` to ``conv_block6``, after pooling and before dropout.

    Args:
        n_classes: number of classes.
        n_bands: bands of the features, at least 32; below 64 the lowest of the published axis.

    Raises:
        HearlessError: fewer than one class or than 32 bands.
    """

    def __init__(self, *, n_classes: int = 527, n_bands: int = 64) -> None:
        super().__init__()
        _panns.check_arguments("Cnn14", n_classes, n_bands)
        self.n_classes, self.min_frames, self.min_bands = n_classes, _panns.MIN_SIZE, _panns.MIN_SIZE
        self.bn0 = nn.BatchNorm2d(n_bands)
        into = 1
        for index, width in enumerate(WIDTHS, start=1):
            self.add_module(f"conv_block{index}", _panns.ConvBlock(into, width, pool=1 if index == 6 else 2))
            into = width
        self.fc1 = nn.Linear(2048, 2048)
        self.fc_audioset = nn.Linear(2048, n_classes)
        _panns.initialise(self)

    def forward(self, features: Tensor, keep: Tensor | None = None, *, maps: bool = False) -> Prediction:
        """Classify log-Mel ``[batch, 1, band, frame]`` in dB.

        Args:
            features: exactly ``n_bands`` bands and at least 32 frames.
            keep: 0/1, broadcastable to ``features``, multiplied after the input normalisation.
            maps: also return what leaves each block, ``[batch, channel, band, frame]``.

        Raises:
            HearlessError: another number of bands or too few frames.
        """
        x = _panns.normalised("Cnn14", self.bn0, features, keep)
        inner: dict[str, Tensor] = {}
        for index in range(1, len(WIDTHS) + 1):
            name = f"conv_block{index}"
            x = self.get_submodule(name)(x)
            if maps:
                inner[name] = x
            x = F.dropout(x, 0.2, self.training)
        return _panns.prediction(x, features, inner, fc1=self.fc1, fc_audioset=self.fc_audioset, training=self.training)

    def load_official(self, state: Mapping[str, Tensor], *, replace_output: bool = False) -> None:
        """Load a PANNs state dict strictly; ``replace_output`` keeps this network's own ``fc_audioset``."""
        _panns.load("Cnn14", self, state, replace_output)

    @classmethod
    def recognise(cls, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any] | None:
        """Return ``n_classes`` and ``n_bands`` that fit these keys and shapes, or None."""
        return _panns.recognise(cls, shapes)


WEIGHTS: dict[str, Weights] = {
    "cnn14_16k": _panns.weights(
        "Cnn14_16k_mAP=0.438.pth", 16000, "sha256:e2ee543a27919542c2ea03eabaa70b24dcd4e6c8e05621de6b67a94e4c5058e6"
    ),
    "cnn14": _panns.weights(
        "Cnn14_mAP=0.431.pth", 32000, "sha256:0dc499e40e9761ef5ea061ffc77697697f277f6a960894903df3ada000e34b31"
    ),
    "cnn14_8k": _panns.weights("Cnn14_8k_mAP=0.416.pth", 8000, "md5:8960dff76bce262a9253183015ad171e"),
}
