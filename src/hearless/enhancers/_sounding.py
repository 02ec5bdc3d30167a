"""What a transcoder's Mel features sound like: Mel → clipped pseudo-inverse → magnitudes → Griffin-Lim.

For people: to hear what a log still tells.  The Mel's own front end sets window, hop and bins.  True features of YAMNet
are of magnitudes, all others, and the pseudo-inverse's of YAMNet too, of power.  Frames are spread evenly over the
seconds that they stand for, as the transcoders spread the levels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from hearless.dsp.filterbanks import kaldi_centres, slaney_centres
from hearless.dsp.griffin_lim import griffin_lim
from hearless.dsp.spectra import Analysis, fft_window
from hearless.enhancers._folding import TARGETS
from hearless.interfaces import Axes, HearlessError


@dataclass(frozen=True)
class Ear:
    """How a target's Mel features were measured.

    Attributes:
        analysis: of its front end.
        band_hz: centre of each Mel band.
        mel: features to what their logarithm was taken of.
        of_magnitude: whether that is a sum of magnitudes, not of power.
    """

    analysis: Analysis
    band_hz: tuple[float, ...]
    mel: Callable[[Tensor], Tensor]
    of_magnitude: bool = False


EARS = {
    "pann": Ear(
        Analysis(32000, 32.0, 10.0, 32.0), slaney_centres(64, 50.0, 14000.0), lambda db: 10.0 ** (db / 10.0)
    ),
    "yamnet": Ear(
        Analysis(16000, 25.0, 10.0, 32.0), kaldi_centres(64, 125.0, 7500.0), lambda log: log.exp() - 0.001, True
    ),
    "mn04": Ear(
        Analysis(32000, 25.0, 10.0, 32.0, 0.97), kaldi_centres(128, 0.0, 15000.0),
        lambda scaled: (5.0 * scaled - 4.5).exp() - 1e-5,
    ),
}  # fmt: skip


def mel_axes(target: str, n_frames: int) -> Axes:
    """Say where so many frames of a target's Mel features lie."""
    return Axes(EARS[target].band_hz, EARS[target].analysis.hop_ms / 1000.0, n_frames)


def magnitudes(features: Tensor, target: str, *, learned: bool) -> Tensor:
    """Return the magnitudes ``[batch, bin, frame]`` that Mel features ``[batch, 1, band, frame]`` may be of.

    ``learned`` features are like the true ones, others the pseudo-inverse's.

    Raises:
        HearlessError: another number of bands, or values that are no sound's.
    """
    wanted, ear = TARGETS[target], EARS[target]
    if features.ndim != 4 or features.shape[1:3] != (1, wanted.n_bands):
        raise HearlessError(
            f"features must be [batch, 1, {wanted.n_bands}, frame] to be heard, got {tuple(features.shape)}."
        )
    bin_hz = ear.analysis.bin_hz(ear.analysis.rate_hz)
    inverse = torch.linalg.pinv(wanted.weights(bin_hz).T)
    mel = ear.mel(features[:, 0].double().cpu()).clamp(min=0.0)
    summed = (inverse @ mel).clamp(min=0.0)
    if not summed.isfinite().all():
        raise HearlessError("features must be finite and of sound, got values beyond any; check the levels' offset.")
    response = wanted.response(torch.tensor(bin_hz, dtype=torch.float64)).sqrt()[:, None]
    found: Tensor = (summed if learned and ear.of_magnitude else summed.sqrt()) / response
    return found


def sounded(features: Tensor, target: str, generator: torch.Generator, *, learned: bool) -> tuple[Tensor, int]:
    """Return samples ``[batch, time]`` whose Mel comes near these features, and their rate in Hz."""
    wanted, analysis = TARGETS[target], EARS[target].analysis
    seconds = (features.shape[-1] - wanted.last_frame) / wanted.frames_per_s
    n_frames = max(2, 1 + round(seconds * 1000.0 / analysis.hop_ms))
    found = magnitudes(features, target, learned=learned)
    spread = torch.nn.functional.interpolate(found, n_frames, mode="linear", align_corners=True)
    window = fft_window(analysis, analysis.rate_hz)
    return griffin_lim(spread, window, analysis.hop_samples, generator).float(), analysis.rate_hz
