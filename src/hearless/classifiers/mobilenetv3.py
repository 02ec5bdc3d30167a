"""MobileNetV3-Large over log-Mel features: the ``mn`` family of EfficientAT.

Source: Schmid, Koutini, Widmer, "Efficient large-scale audio tagging via transformer-to-CNN knowledge distillation"
(ICASSP 2023), network of Howard et al. 2019; published weights load unchanged.  What differs from the published
code: only channel-wise squeeze-excitation (that of the released files), only the ``mlp`` head, and the embedding is
what enters the last layer (512 values at width 0.4) instead of the pooled map.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from hearless.classifiers._checks import check_at_least, check_features, fits, load_strictly
from hearless.classifiers._inverted_residual import InvertedResidual, Row, activation, channels, convolution
from hearless.interfaces import HearlessError, Prediction, Remote, Weights
from hearless.spec import named

EXAMPLE: dict[str, Any] = {"n_classes": 3, "width": 0.4}

OUTPUT = "classifier.5."


STEM = 16
TABLE = (
    Row(3, 16, 16, False, False, 1),
    Row(3, 64, 24, False, False, 2), Row(3, 72, 24, False, False, 1),
    Row(5, 72, 40, True, False, 2), Row(5, 120, 40, True, False, 1), Row(5, 120, 40, True, False, 1),
    Row(3, 240, 80, False, True, 2), Row(3, 200, 80, False, True, 1),
    Row(3, 184, 80, False, True, 1), Row(3, 184, 80, False, True, 1),
    Row(3, 480, 112, True, True, 1), Row(3, 672, 112, True, True, 1),
    Row(5, 672, 160, True, True, 2), Row(5, 960, 160, True, True, 1), Row(5, 960, 160, True, True, 1),
)  # fmt: skip
HIDDEN = 1280


class MobileNetV3(nn.Module):
    """EfficientAT's mn04 (``width=0.4``) to mn40 (``width=4.0``).

    Features are the normalised log-Mel of ``PreEmphasisMel``; any number of bands from ``min_bands`` on.  Maps are
    ``features.0`` to ``features.16``.

    Args:
        n_classes: number of classes.
        width: factor on every number of channels.
        dropout: share of the embedding dropped in training.

    Raises:
        HearlessError: fewer than one class, a width below 0.1 or a dropout outside [0, 1).
    """

    def __init__(self, *, n_classes: int = 527, width: float = 1.0, dropout: float = 0.2) -> None:
        super().__init__()
        check_at_least("MobileNetV3: n_classes", n_classes, 1, "give the number of classes")
        check_at_least("MobileNetV3: width", width, 0.1, "the smallest published is 0.4")
        if not 0 <= dropout < 1:
            raise HearlessError(f"MobileNetV3: dropout must be in [0, 1), got {dropout}; the published one is 0.2.")
        self.n_classes, self.min_frames, self.min_bands = n_classes, 8, 8
        into = channels(STEM * width)
        layers: list[nn.Module] = [convolution(1, into, kernel=3, stride=2, act=activation(True))]
        for row in TABLE:
            layers.append(InvertedResidual(into, row, width))
            into = channels(row.out * width)
        layers.append(convolution(into, 6 * into, act=activation(True)))
        self.features = nn.Sequential(*layers)
        hidden = channels(HIDDEN * width)
        self.classifier = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(),
            nn.Linear(6 * into, hidden), nn.Hardswish(), nn.Dropout(dropout), nn.Linear(hidden, n_classes),
        )  # fmt: skip
        initialise(self)

    def forward(self, features: Tensor, keep: Tensor | None = None, *, maps: bool = False) -> Prediction:
        """Classify normalised log-Mel ``[batch, 1, band, frame]``.

        Args:
            features: at least ``min_bands`` bands and ``min_frames`` frames.
            keep: 0/1, broadcastable to ``features``, multiplied on them.
            maps: also return what leaves each stage, ``[batch, channel, band, frame]``.

        Raises:
            HearlessError: too few bands or frames.
        """
        check_features("MobileNetV3", features, self.min_bands, self.min_frames)
        x = features if keep is None else features * keep
        inner: dict[str, Tensor] = {}
        for index, layer in enumerate(self.features):
            x = layer(x)
            if maps:
                inner[f"features.{index}"] = x
        *penultimate, output = self.classifier
        for layer in penultimate:
            x = layer(x)
        return Prediction(logits=output(x), embedding=x, features=features, maps=inner)

    def load_official(self, state: Mapping[str, Tensor], *, replace_output: bool = False) -> None:
        """Load an EfficientAT state dict strictly; ``replace_output`` keeps this network's own last layer."""
        load_strictly("MobileNetV3", self, state, output=OUTPUT, replace_output=replace_output)

    @classmethod
    def recognise(cls, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any] | None:
        """Return ``n_classes`` and ``width`` that fit these keys and shapes, or None."""
        output, hidden = shapes.get(OUTPUT + "weight", ()), shapes.get("classifier.2.weight", ())
        if len(output) != 2 or len(hidden) != 2:
            return None
        distinct: dict[tuple[int, ...], float] = {}
        for width in _widths(hidden[0]):
            distinct.setdefault(tuple(channels(n * width) for row in TABLE for n in (row.expand, row.out)), width)
        tried = ({"n_classes": output[0], "width": width} for width in distinct.values())
        return next((arguments for arguments in tried if fits(cls, arguments, shapes)), None)


def _widths(hidden: int) -> list[float]:
    """Return the widths that give this hidden layer: published ones, round ones, then a fine grid."""
    published = [float(row.arguments["width"]) for row in WEIGHTS.values()]
    grid = [(hidden + step) / HIDDEN for step in (0, 1, -1, 2, -2, 3, -3, 4, -4)]
    tried = [*published, *(round(width, 2) for width in grid), *(round(width, 4) for width in grid)]
    return [width for width in tried if channels(HIDDEN * width) == hidden]


def initialise(network: nn.Module) -> None:
    """Kaiming-normal convolutions by what leaves them, linear layers of deviation 0.01, biases 0."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out")
        elif isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)


def _weights(filename: str, width: float, checksum: str | None = None) -> Weights:
    url = f"https://github.com/fschmid56/EfficientAT/releases/download/v0.0.1/{filename}"
    return Weights(
        remote=Remote(url, filename, checksum),
        licence="MIT",
        source="EfficientAT, release v0.0.1 (https://github.com/fschmid56/EfficientAT)",
        arguments={"n_classes": 527, "width": width},
        frontend=named("frontends", "PreEmphasisMel", input_rate_hz=32000),
        labels="audioset",
    )


WEIGHTS: dict[str, Weights] = {
    "mn04": _weights(
        "mn04_as_mAP_432.pt", 0.4, "sha256:899a8c6217063f6941793102a2780b3dd788ab11fce468d9cf5f0577c453321c"
    ),
    "mn05": _weights("mn05_as_mAP_443.pt", 0.5),
    "mn10": _weights("mn10_as_mAP_471.pt", 1.0),
    "mn20": _weights("mn20_as_mAP_478.pt", 2.0),
    "mn40": _weights("mn40_as_mAP_484.pt", 4.0),
}
