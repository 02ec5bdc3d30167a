"""Analysis atoms against their formula, against the FFT, and by what they answer to tones."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from hearless.dsp.atoms import analysis_atoms, atom_parts, frame_atoms
from hearless.dsp.spectra import Analysis, fft_parts, fft_window

PANNS = Analysis(16000, 32.0, 10.0, 32.0)
MN04 = Analysis(32000, 25.0, 10.0, 32.0, 0.97)
NOISE = torch.randn(2, 8000, dtype=torch.float64, generator=torch.manual_seed(3))


def power(parts: torch.Tensor) -> torch.Tensor:
    return parts.square().unflatten(-1, (-1, 2)).sum(-1)


def test_sampled_atoms_are_the_short_time_fourier_transform():
    starts, atoms = frame_atoms(PANNS, 16000, PANNS.bin_hz(16000))
    ours = atom_parts(NOISE, atoms, starts, 160, 51)
    torch.testing.assert_close(power(ours), power(fft_parts(NOISE, fft_window(PANNS, 16000), 160, 51)))


def test_pre_emphasised_atoms_are_pre_emphasis_then_transform():
    starts, atoms = frame_atoms(MN04, 32000, MN04.bin_hz(32000))
    emphasised = NOISE[:, 1:] - 0.97 * NOISE[:, :-1]
    ours = atom_parts(NOISE, atoms, starts, 320, 25)
    theirs = fft_parts(emphasised, fft_window(MN04, 32000), 320, 25)
    torch.testing.assert_close(power(ours)[:, 2:-2], power(theirs)[:, 2:-2])


def test_an_atom_is_its_formula():
    offset = torch.tensor([-0.011, 0.0, 0.004], dtype=torch.float64)
    atoms = torch.view_as_complex(analysis_atoms(PANNS, offset, (0.0, 250.0)).unflatten(-1, (-1, 2)))
    time = offset.numpy()
    window = 0.5 + 0.5 * np.cos(2.0 * np.pi * time / 0.032)
    np.testing.assert_allclose(atoms[:, 1], window * np.exp(-2j * np.pi * 250.0 * time), atol=1e-12)
    np.testing.assert_allclose(atoms[:, 0], window, atol=1e-12)


@pytest.mark.parametrize("rate_hz", [250, 500, 997, 1000, 4000])
@pytest.mark.parametrize("analysis", [PANNS, MN04], ids=["panns", "mn04"])
def test_fitted_atoms_answer_a_tone_as_the_reference_does(analysis, rate_hz):
    """Every frame phase, every bin up to 0.7 Nyquist, every tone up to 0.8: within 2 % of the bin's largest answer."""
    bins = [hz for hz in analysis.bin_hz(rate_hz) if hz <= 0.35 * rate_hz]
    starts, atoms = frame_atoms(analysis, rate_hz, bins)
    time = torch.arange(-1024, 1025, dtype=torch.float64) / 32000.0
    dense = analysis_atoms(analysis, time, bins) * (analysis.rate_hz / 32000.0)
    tones = torch.linspace(-0.4 * rate_hz, 0.4 * rate_hz, 41, dtype=torch.float64)
    wanted = answers(dense, time, tones)
    for phase, start in enumerate(starts):
        own = torch.arange(atoms.shape[1], dtype=torch.float64) - atoms.shape[1] // 2
        place = own + float(start - phase * analysis.hop_at(rate_hz))
        error = (answers(atoms[phase], place / rate_hz, tones) - wanted).abs()
        assert (error.amax(0) / wanted.abs().amax(0)).max() < 0.02


def answers(atoms: torch.Tensor, time_s: torch.Tensor, tones_hz: torch.Tensor) -> torch.Tensor:
    angle = 2.0 * math.pi * tones_hz[:, None] * time_s
    return torch.polar(torch.ones_like(angle), angle) @ torch.view_as_complex(atoms.unflatten(-1, (-1, 2)).contiguous())


@pytest.mark.parametrize(("rate_hz", "count"), [(250, 2), (1000, 1), (997, 100), (22050, 2)])
def test_frames_start_at_rounded_positions(rate_hz, count):
    starts, _ = frame_atoms(PANNS, rate_hz, (100.0,))
    assert starts == tuple(math.floor(m * Fraction(rate_hz, 100) + Fraction(1, 2)) for m in range(count))
