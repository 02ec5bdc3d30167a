"""One microphone that sounds like others: the simulated devices S1 to S6 of the TAU Urban Acoustic Scenes sets.

Source: Heittola, Mesaros, Virtanen (DCASE 2020), used by paper 004: recordings of device A were convolved with the
impulse response of another device and went through a dynamic-range compression of that device's own settings.  The
responses and settings of TAU are not public; the settings here are hearless's own, the responses anyone's
(MicIRP's six, say).

Each response is scaled to unit energy, so that thresholds meet the sound at its own level.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from hearless import responses
from hearless.dsp.compression import Compression, compressed
from hearless.dsp.convolution import convolve, filter_spectra
from hearless.dsp.resample import resample
from hearless.interfaces import HearlessError

EXAMPLE: dict[str, Any] = {"rate_hz": 8000}

DEVICES: dict[str, Compression] = {
    "s1": Compression(-35.0, 2.0, 50.0),
    "s2": Compression(-42.0, 3.0, 100.0),
    "s3": Compression(-30.0, 4.0, 30.0),
    "s4": Compression(-45.0, 2.5, 80.0),
    "s5": Compression(-38.0, 5.0, 150.0),
    "s6": Compression(-33.0, 8.0, 20.0),
}


class SimulatedDevice(nn.Module):
    """Samples at ``rate_hz`` as the clip's recording device would keep them.

    Devices ``s1`` to ``s6`` are simulated; all others (``a``, any real one, None) pass unchanged.

    Args:
        rate_hz: rate of the observation in Hz, also the rate of the waveform it would hear.
        folder: of responses (``.wav``, any rate); empty: made-up ones.
        content: what ``hearless.responses.content(folder, [the six names])`` says; it stands for the files in a run's
            identity and is checked when they are first read.
        names: the files of s1 … s6, parted by commas; empty only without a folder.

    Raises:
        HearlessError: a rate below 1 Hz, not six different names, or a folder without names and content.
    """

    LOCATION = ("folder",)
    """Where the responses lie changes no number; ``content`` says what they are."""

    def __init__(self, *, rate_hz: int = 32000, folder: str = "", content: str = "", names: str = "") -> None:
        super().__init__()
        if rate_hz < 1:
            raise HearlessError(f"SimulatedDevice: rate_hz must be at least 1, got {rate_hz}.")
        chosen = [name.strip() for name in names.split(",") if name.strip()]
        if (names or folder) and not len(set(chosen)) == len(chosen) == len(DEVICES):
            raise HearlessError(
                f"SimulatedDevice: names must be the files of {', '.join(DEVICES)}, all different, got {names!r}."
            )
        if folder and not content:
            raise HearlessError(
                "SimulatedDevice: content must be given with a folder (hearless.responses.content(folder, names)), "
                f"got {content!r}."
            )
        self.rate_hz, self.source_rate_hz, self.minimum_rate_hz = rate_hz, rate_hz, 1
        self.folder, self.content = folder, content
        self.names = tuple(chosen) or tuple(response.name for response in responses.made_up()[: len(DEVICES)])
        self._taps: dict[str, Tensor] = {}

    def responses_of(self, devices: Sequence[str] = tuple(DEVICES)) -> tuple[responses.Response, ...]:
        """Return the responses of simulated devices, read at first use; for `responses.check_apart`.

        Raises:
            HearlessError: see `responses.read`.
        """
        found = responses.read(self.folder, self.rate_hz, self.names, self.content)
        return tuple(response for device, response in zip(DEVICES, found, strict=True) if device in devices)

    def forward(self, waveform: Tensor, rate_hz: int, devices: Sequence[str | None] = ()) -> Tensor:
        """Turn ``[batch, time]`` at ``rate_hz`` into what each clip's device keeps.

        Raises:
            HearlessError: not one device per clip, or a simulated device that there is none of (``s7``).
        """
        unknown = [d for d in devices if d and re.fullmatch(r"s\d+", d) and d not in DEVICES]
        if unknown or (devices and len(devices) != len(waveform)):
            raise HearlessError(
                f"SimulatedDevice: devices must be one per clip, simulated ones among {', '.join(DEVICES)}, got "
                f"{len(devices)} for {len(waveform)} clips{': ' + ', '.join(unknown) if unknown else ''}."
            )
        heard = resample(waveform, rate_hz, self.rate_hz)
        for device in sorted({d for d in devices if d in DEVICES} - {None}, key=str):
            rows = torch.tensor([i for i, d in enumerate(devices) if d == device], device=heard.device)
            heard = heard.index_copy(0, rows, self._through(str(device), heard[rows]))
        return heard

    def _through(self, device: str, heard: Tensor) -> Tensor:
        """Convolve ``[batch, time]`` with a device's response and compress it."""
        if not self._taps:
            taps = (torch.from_numpy(response.samples) for response in self.responses_of())
            self._taps = {name: one / one.norm() for name, one in zip(DEVICES, taps, strict=True)}
        spectra, length = filter_spectra(self._taps[device][None].to(heard), heard.shape[-1])
        return compressed(convolve(heard, spectra.expand(len(heard), -1), length), self.rate_hz, DEVICES[device])
