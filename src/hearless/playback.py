"""What a sensor kept, as a sound for people: samples brought to a rate that loudspeakers play, or levels made sound.

Third-octave levels go through the pseudo-inverse to a Mel spectrogram and from there, by Griffin-Lim, to sound.
"""

from __future__ import annotations

from torch import Generator, Tensor

from hearless.dsp.resample import resample
from hearless.enhancers.pinv_transcoder import PINVTranscoder
from hearless.interfaces import HearlessError
from hearless.spec import Spec

PLAYED_HZ = 16000
"""The rate that slower sensors are brought to."""

TARGET = "pann"
"""Whose Mel features levels become on the way to sound."""

SHARED = ("interval", "bands", "octaves")
"""What a transcoder must know of the levels."""


def as_heard(capture: Spec, observation: Tensor) -> tuple[Tensor, int]:
    """Return samples ``[batch, time]`` and their rate in Hz, 16 kHz at least.

    Args:
        capture: the sensor.
        observation: what it kept: samples ``[batch, time]`` or levels ``[batch, band, frame]`` in dB.

    Raises:
        HearlessError: neither of them.
    """
    if observation.ndim == 2:
        rate_hz = int(capture.build().rate_hz)
        played_hz = max(rate_hz, PLAYED_HZ)
        return resample(observation, rate_hz, played_hz), played_hz
    if observation.ndim != 3 or capture.name != "ThirdOctave":
        raise HearlessError(
            f"what {capture.name} keeps must be samples [batch, time] or third-octave levels [batch, band, frame] "
            f"to be heard, got {list(observation.shape)}."
        )
    told = {name: value for name, value in capture.arguments.items() if name in SHARED}
    transcoder = PINVTranscoder(target=TARGET, **told)
    return transcoder.sound(transcoder(observation[:, None]), Generator().manual_seed(0))
