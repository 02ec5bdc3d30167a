"""FFT convolution against scipy, and bit for bit the same in any batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import signal
from scipy.fft import next_fast_len

from hearless.dsp.convolution import convolve, fast_length, filter_spectra
from hearless.interfaces import HearlessError


@pytest.mark.parametrize(("n", "taps"), [(1000, 1), (1000, 77), (1000, 1000), (1000, 2500), (997, 64), (1, 5)])
def test_it_is_scipys_full_convolution_cut(n, taps):
    rng = np.random.default_rng(n + taps)
    waves, filters = rng.standard_normal((3, n)), rng.standard_normal((3, taps))
    spectra, length = filter_spectra(torch.from_numpy(filters), n)
    found = convolve(torch.from_numpy(waves), spectra, length)
    for row, wave, taps_ in zip(found, waves, filters, strict=True):
        np.testing.assert_allclose(row.numpy(), signal.convolve(wave, taps_)[:n], atol=1e-10)


def test_a_unit_impulse_is_the_identity_and_a_late_one_a_delay():
    waves = torch.randn(2, 500, dtype=torch.float64, generator=torch.manual_seed(0))
    filters = torch.zeros(2, 50, dtype=torch.float64)
    filters[0, 0] = filters[1, 7] = 1.0
    found = convolve(waves, *filter_spectra(filters, 500))
    torch.testing.assert_close(found[0], waves[0])
    torch.testing.assert_close(found[1, 7:], waves[1, :-7])
    torch.testing.assert_close(found[1, :7], torch.zeros(7, dtype=torch.float64), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("n", "taps"), [(8000, 1000), (16000, 5971), (1001, 300)])
def test_a_clip_is_the_same_to_the_last_bit_in_any_batch(n, taps):
    g = torch.Generator().manual_seed(1)
    waves, filters = torch.randn(7, n, generator=g), torch.randn(7, taps, generator=g)
    spectra, length = filter_spectra(filters, n)
    whole = convolve(waves, spectra, length)
    for rows in ([0], [3], [6, 2], [5, 4, 3, 2, 1, 0]):
        assert torch.equal(convolve(waves[rows], spectra[rows], length), whole[rows])


def test_lengths_are_the_next_fast_ones():
    for at_least in [*range(1, 300), 9001, 43970, 65537]:
        found = fast_length(at_least)
        assert found % 2 == 0
        assert found >= at_least
        rest = found
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        assert rest == 1
        assert found <= 2 * next_fast_len(-(-at_least // 2), real=True)


def test_wrong_input():
    spectra, length = filter_spectra(torch.randn(2, 5), 100)
    with pytest.raises(HearlessError, match=r"one filter a clip, got torch.float32 of shape \(3, 100\) and 2 filters"):
        convolve(torch.randn(3, 100), spectra, length)
    with pytest.raises(HearlessError, match="floating-point"):
        convolve(torch.zeros(2, 100, dtype=torch.int16), spectra, length)
