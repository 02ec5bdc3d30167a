"""Convolution with the impulse response of another microphone: DIR, and with an energy threshold ADIR.

Source: paper 004 §II.C.2 (equation 3) and its lineage, Morocutti et al. 2023 (CP-JKU DCASE23): with a probability of
0.6 (students and PaSST; 0.4 for CP-ResNet) a clip of device a is convolved with one of 66 responses of MicIRP; the full
convolution is cut to the clip's length.  ADIR leaves clips of energy up to 323 as they are.  The paper names no unit
of energy; here it is the sum of squares of one second at 32 kHz (323: an rms of 0.1), the same at any rate and length.

What differs from the published code: a response keeps its gain in Hz (see `hearless.responses`), and the draw names a
share of the pool, so that it replays at any rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from hearless import responses
from hearless.augmentations._draws import column
from hearless.dsp.convolution import convolve, filter_spectra
from hearless.interfaces import Axes, Clip, Draw, HearlessError

EXAMPLE: dict[str, Any] = {"probability": 1.0}

ENERGY_RATE_HZ = 32000


def energy(waveform: Tensor) -> Tensor:
    """Return each clip's energy: its mean square × 32,000, that is Σx² of one second at 32 kHz; ``[batch]``."""
    return waveform.square().mean(-1) * ENERGY_RATE_HZ


class DeviceImpulseResponse:
    """Let clips of some devices sound as if another microphone had heard them.

    Args:
        folder: of responses (``.wav``, any rate); empty: twelve made-up ones.
        content: what ``hearless.responses.content(folder)`` says; it stands for the files in a run's identity and is
            checked when they are first read.
        probability: share of the clips convolved.
        devices: recording devices it is for, parted by commas; ``"*"``: every clip, also one of no known device.
        energy_threshold: clips of at most this energy stay as they are (paper: 323); None convolves all.
        left_out: names of files to leave out (those of test devices), parted by commas.

    Raises:
        HearlessError: a probability outside 0..1, no devices, a negative threshold, or a folder without its content.
    """

    LOCATION = ("folder",)
    """Where the responses lie changes no number; ``content`` says what they are."""

    place: Literal["waveform", "features", "keep", "clips"] = "waveform"
    hearers: Literal["both", "student"] = "both"
    level: Literal["clip", "batch"] = "clip"

    def __init__(
        self,
        *,
        folder: str = "",
        content: str = "",
        probability: float = 0.6,
        devices: str = "a",
        energy_threshold: float | None = None,
        left_out: str = "",
    ) -> None:
        _require(0.0 < probability <= 1.0, "probability", "lie in 0..1, 0 excluded", probability)
        _require(bool(names_in(devices)), "devices", "name recording devices, or be '*'", devices)
        _require(
            energy_threshold is None or energy_threshold >= 0, "energy_threshold", "be 0 or more", energy_threshold
        )
        _require(
            bool(content) or not folder,
            "content",
            "be given with a folder (hearless.responses.content(folder))",
            content,
        )
        self.folder, self.content, self.probability = folder, content, probability
        self.devices, self.energy_threshold = frozenset(names_in(devices)), energy_threshold
        self.left_out = frozenset(names_in(left_out))
        self._pools: dict[tuple[int, int, torch.device, torch.dtype], tuple[Tensor, int]] = {}

    def pool(self, rate_hz: int) -> tuple[responses.Response, ...]:
        """Return the responses drawn from, at a rate; for `responses.check_apart`.

        Raises:
            HearlessError: see `responses.read`; also none left, or ``left_out`` names one that is not there.
        """
        every = responses.read(self.folder, rate_hz, expected=self.content)
        _require(
            self.left_out <= {r.name for r in every}, "left_out", "name responses", ", ".join(sorted(self.left_out))
        )
        left = tuple(r for r in every if r.name not in self.left_out)
        _require(bool(left), "left_out", "leave some responses", len(every))
        return left

    def draw(self, rng: np.random.Generator, clip: Clip, duration_s: float) -> Draw:
        """Draw ``{"heard": 0 or 1, "response": 0..1}``; ``heard`` is 0 for clips of other devices."""
        chance, response = rng.random(2)
        meant = "*" in self.devices or clip.device in self.devices
        return {"heard": float(meant and chance < self.probability), "response": float(response)}

    def apply(self, tensor: Tensor, draws: Sequence[Draw], where: int | Axes) -> Tensor:
        """Convolve waveforms ``[batch, time]`` at rate ``where`` in Hz, on their own torch device.

        Raises:
            HearlessError: not one draw per clip, ``where`` is no rate, or responses that cannot be used.
        """
        heard = column("DeviceImpulseResponse", tensor, draws, "heard")
        places = column("DeviceImpulseResponse", tensor, draws, "response")
        if isinstance(where, Axes):
            raise HearlessError("DeviceImpulseResponse changes waveforms and needs their rate in Hz, got axes.")
        chosen = torch.tensor(heard, device=tensor.device) > 0
        if self.energy_threshold is not None:
            chosen &= energy(tensor) > self.energy_threshold
        rows = chosen.nonzero()[:, 0]
        if not len(rows):
            return tensor.clone()
        spectra, length = self._spectra(tensor, where)
        which = torch.tensor([int(place * len(spectra)) for place in places], device=tensor.device)
        changed = convolve(tensor[rows], spectra[which[rows]], length)
        return tensor.index_copy(0, rows, changed)

    def _spectra(self, tensor: Tensor, rate_hz: int) -> tuple[Tensor, int]:
        """Return the pool's spectra for waveforms like ``tensor``, read at first use."""
        key = (rate_hz, tensor.shape[-1], tensor.device, tensor.dtype)
        if key not in self._pools:
            taps = [torch.from_numpy(response.samples) for response in self.pool(rate_hz)]
            filters = torch.nn.utils.rnn.pad_sequence(taps, batch_first=True).to(tensor)
            self._pools[key] = filter_spectra(filters, tensor.shape[-1])
        return self._pools[key]


def names_in(text: str) -> list[str]:
    """Return the names in a text, parted by commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def _require(holds: bool, name: str, rule: str, value: Any) -> None:
    if not holds:
        raise HearlessError(f"DeviceImpulseResponse: {name} must {rule}, got {value!r}.")
