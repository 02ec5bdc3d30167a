"""What the networks of PANNs share: ConvBlock, input normalisation, global pooling, initialisation, weights rows.

Source: Kong et al., "PANNs: Large-scale pretrained audio neural networks for audio pattern recognition" (TASLP 2020).
What differs from the published code: spectrogram, log-Mel, SpecAugment and mixup are no part of the network; its
features come as ``[batch, 1, band, frame]`` and are turned here to PANNs' ``[batch, 1, frame, band]``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from hearless.classifiers._checks import check_at_least, check_features, fits, load_strictly
from hearless.interfaces import HearlessError, Prediction, Remote, Weights
from hearless.spec import named

MIN_SIZE = 32
"""Five halvings: fewer bands or frames leave nothing."""

OUTPUT = "fc_audioset."
FRONT_END = ("spectrogram_extractor.", "logmel_extractor.")


class ConvBlock(nn.Module):
    """Twice 3×3 convolution → batch norm → ReLU, then the mean of ``pool`` × ``pool`` squares (remainders dropped)."""

    def __init__(self, into: int, out: int, *, pool: int = 2) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(into, out, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.bn2 = nn.BatchNorm2d(out)
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[batch, out, frame // pool, band // pool]``."""
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = F.relu(self.bn2(self.conv2(x)), inplace=True)
        return F.avg_pool2d(x, self.pool) if self.pool > 1 else x


def check_arguments(name: str, n_classes: int, n_bands: int) -> None:
    """Refuse fewer than one class or than 32 bands."""
    check_at_least(f"{name}: n_classes", n_classes, 1, "give the number of classes")
    check_at_least(f"{name}: n_bands", n_bands, MIN_SIZE, "five halvings leave nothing of fewer; keep more bands")


def normalised(name: str, bn0: nn.BatchNorm2d, features: Tensor, keep: Tensor | None) -> Tensor:
    """Normalise each band, mask, and turn ``[batch, 1, band, frame]`` into ``[batch, 1, frame, band]``.

    Raises:
        HearlessError: too few frames, or another number of bands than the network's.
    """
    check_features(name, features, MIN_SIZE, MIN_SIZE)
    if features.shape[2] != bn0.num_features:
        raise HearlessError(
            f"{name}: features must have the network's {bn0.num_features} bands, got {features.shape[2]}; "
            f"build it with n_bands={features.shape[2]} or change the frontend's n_bands."
        )
    x: Tensor = bn0(features.transpose(1, 2)).transpose(1, 2)
    x = x if keep is None else x * keep
    return x.transpose(2, 3)


def pooled(x: Tensor) -> Tensor:
    """Mean over bands, then maximum plus mean over frames: ``[batch, channel, frame, band]`` → ``[batch, channel]``."""
    x = x.mean(3)
    return x.max(2).values + x.mean(2)


def prediction(
    x: Tensor,
    features: Tensor,
    inner: Mapping[str, Tensor],
    *,
    fc1: nn.Linear,
    fc_audioset: nn.Linear,
    training: bool,
    first_dropout: float = 0.5,
) -> Prediction:
    """Classify what the last stage left: pooling → dropout → fc1 → ReLU → dropout → fc_audioset.

    The embedding is what enters ``fc_audioset``, in training after its dropout.  Maps are turned back to
    ``[batch, channel, band, frame]``.
    """
    x = F.dropout(pooled(x), first_dropout, training)
    embedding = F.dropout(F.relu(fc1(x)), 0.5, training)
    maps = {name: stage.transpose(2, 3) for name, stage in inner.items()}
    return Prediction(logits=fc_audioset(embedding), embedding=embedding, features=features, maps=maps)


def initialise(network: nn.Module) -> None:
    """Xavier-uniform weights and zero biases; batch norms keep weight 1 and bias 0."""
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def load(name: str, network: nn.Module, state: Mapping[str, Tensor], replace_output: bool) -> None:
    """Load an official state dict strictly: less its front end, ``bn0`` cut to the network's lowest bands."""
    n_bands = len(network.state_dict()["bn0.weight"])
    given = {key: tensor for key, tensor in state.items() if not key.startswith(FRONT_END)}
    given |= {
        key: t[:n_bands] for key, t in given.items() if key.startswith("bn0.") and isinstance(t, Tensor) and t.ndim
    }
    load_strictly(name, network, given, output=OUTPUT, replace_output=replace_output)


def recognise(cls: type[nn.Module], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any] | None:
    """Return ``n_classes`` and ``n_bands`` with which ``cls`` has these keys and shapes, or None."""
    own = {key: shape for key, shape in shapes.items() if not key.startswith(FRONT_END)}
    output, bands = own.get(OUTPUT + "weight", ()), own.get("bn0.weight", ())
    if len(output) != 2 or len(bands) != 1:
        return None
    arguments = {"n_classes": output[0], "n_bands": bands[0]}
    return arguments if fits(cls, arguments, own) else None


def weights(filename: str, rate_hz: int, checksum: str) -> Weights:
    """Return the row of a file of the Zenodo record: 527 AudioSet classes, 64 bands, front end of ``rate_hz``."""
    url = f"https://zenodo.org/record/3987831/files/{filename.replace('=', '%3D')}?download=1"
    return Weights(
        remote=Remote(url, filename, checksum),
        licence="CC BY 4.0",
        source="PANNs, Zenodo record 3987831 (https://zenodo.org/record/3987831)",
        arguments={"n_classes": 527, "n_bands": 64},
        frontend=named("frontends", "LogMel", input_rate_hz=rate_hz, reference_rate_hz=rate_hz),
        labels="audioset",
    )
