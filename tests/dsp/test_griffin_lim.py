"""Griffin-Lim: as near as librosa's, nearer with every step, and a tone comes back as it was."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import torch
from torch import Tensor

from hearless.dsp.griffin_lim import analysed, griffin_lim, samples_of, spectral_convergence
from hearless.interfaces import HearlessError

RATE_HZ, SIZE, HOP = 16000, 512, 160
WINDOW = torch.hann_window(SIZE, dtype=torch.float64)


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def glide(seconds: float = 0.5) -> Tensor:
    """Return a voice-like sound: five harmonics of a gliding tone in a little noise ``[1, time]``."""
    time_s = torch.arange(round(seconds * RATE_HZ), dtype=torch.float64) / RATE_HZ
    turns = 150 * time_s + 200 * time_s**2
    noise = torch.randn(len(time_s), dtype=torch.float64, generator=draws())
    return (sum(torch.sin(2 * torch.pi * k * turns) / k for k in range(1, 6)) + 0.01 * noise)[None]


def magnitude(samples: Tensor) -> Tensor:
    return analysed(samples, WINDOW, HOP).abs()


def test_it_comes_as_near_as_librosa() -> None:
    wanted = magnitude(glide())
    theirs = librosa.griffinlim(
        wanted[0].numpy(), n_iter=32, hop_length=HOP, n_fft=SIZE, window="hann", momentum=0.99, random_state=0
    )
    ours = griffin_lim(wanted, WINDOW, HOP, draws(), steps=32)
    assert ours.shape == (1, len(theirs))
    apart = [float(spectral_convergence(each, wanted, WINDOW, HOP)) for each in (ours, torch.from_numpy(theirs)[None])]
    assert apart[0] < 1.15 * apart[1] < 0.3


def test_spectra_are_librosas() -> None:
    sound = glide()
    theirs = librosa.stft(sound[0].numpy(), n_fft=SIZE, hop_length=HOP, window="hann", pad_mode="constant")
    np.testing.assert_allclose(analysed(sound, WINDOW, HOP)[0].numpy(), theirs, atol=1e-9)
    torch.testing.assert_close(samples_of(analysed(sound, WINDOW, HOP), WINDOW, HOP), sound)


def test_every_step_comes_nearer_and_momentum_sooner() -> None:
    """Without momentum it never gets worse (Griffin and Lim 1984)."""
    wanted = magnitude(glide(0.2))

    def left(steps: int, momentum: float) -> float:
        made = griffin_lim(wanted, WINDOW, HOP, draws(), steps=steps, momentum=momentum)
        return float(spectral_convergence(made, wanted, WINDOW, HOP))

    plain = [left(steps, 0.0) for steps in (0, 1, 2, 4, 8, 16, 32)]
    assert plain == sorted(plain, reverse=True)
    assert left(32, 0.99) < 0.9 * plain[-1] < 0.5 * plain[0]


def test_a_tone_comes_back_as_it_was() -> None:
    time_s = torch.arange(RATE_HZ, dtype=torch.float64) / RATE_HZ
    tone = 0.25 * torch.sin(2 * torch.pi * 1000 * time_s)[None]
    made = griffin_lim(magnitude(tone), WINDOW, HOP, draws())
    spectrum = torch.fft.rfft(made[0, 2000:-2000], n=RATE_HZ).abs()
    assert abs(int(spectrum.argmax()) - 1000) <= 2
    assert float(made[0, 2000:-2000].square().mean().sqrt()) == pytest.approx(0.25 / 2**0.5, rel=0.05)


def test_the_same_draws_give_the_same_samples() -> None:
    wanted = magnitude(glide(0.1)).float()
    made = [griffin_lim(wanted, WINDOW, HOP, draws(seed), steps=3) for seed in (0, 0, 1)]
    assert made[0].dtype == torch.float32
    assert torch.equal(made[0], made[1])
    assert not torch.allclose(made[0], made[2])


def test_silence_stays_silent() -> None:
    assert not griffin_lim(torch.zeros(2, SIZE // 2 + 1, 9), WINDOW, HOP, draws()).any()


@pytest.mark.parametrize(
    ("wanted", "options", "said"),
    [
        (torch.ones(257, 9), {}, r"\[batch, 257, frame\]"),
        (torch.ones(1, 256, 9), {}, r"got shape \(1, 256, 9\)"),
        (torch.ones(1, 257, 1), {}, "two frames or more"),
        (-torch.ones(1, 257, 9), {}, "0 or more"),
        (torch.full((1, 257, 9), torch.inf), {}, "must be finite"),
        (torch.ones(1, 257, 9), {"steps": -1}, "steps and momentum 0 or more"),
        (torch.ones(1, 257, 9), {"momentum": -0.1}, "steps and momentum 0 or more"),
    ],
)
def test_wrong_input_is_refused(wanted: Tensor, options: dict[str, float], said: str) -> None:
    with pytest.raises(HearlessError, match=said):
        griffin_lim(wanted, WINDOW, HOP, draws(), **options)
    with pytest.raises(HearlessError, match="hop must be 1 to half the window of 512"):
        griffin_lim(torch.ones(1, 257, 9), WINDOW, 300, draws())
