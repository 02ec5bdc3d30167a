"""Hz and Mel against librosa, against the formulas, and there and back."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import torch

from hearless.dsp.scales import htk_to_hz, hz_to_htk, hz_to_kaldi, hz_to_slaney, kaldi_to_hz, slaney_to_hz

HZ = torch.linspace(0.0, 16000.0, 641, dtype=torch.float64)


def test_slaney_is_librosas():
    np.testing.assert_allclose(hz_to_slaney(HZ), librosa.hz_to_mel(HZ.numpy()), rtol=1e-12)


def test_htk_is_librosas():
    np.testing.assert_allclose(hz_to_htk(HZ), librosa.hz_to_mel(HZ.numpy(), htk=True), rtol=1e-12)


def test_kaldi_is_its_formula():
    np.testing.assert_allclose(hz_to_kaldi(HZ), 1127.0 * np.log(1.0 + HZ.numpy() / 700.0), rtol=1e-12)


@pytest.mark.parametrize(
    ("there", "back"), [(hz_to_slaney, slaney_to_hz), (hz_to_htk, htk_to_hz), (hz_to_kaldi, kaldi_to_hz)]
)
def test_there_and_back(there, back):
    torch.testing.assert_close(back(there(HZ)), HZ, rtol=1e-12, atol=1e-9)


def test_a_float_stays_a_float():
    assert hz_to_slaney(1000.0) == pytest.approx(15.0, rel=1e-12)
    assert isinstance(hz_to_slaney(1000.0), float)
    assert slaney_to_hz(15.0) == pytest.approx(1000.0, rel=1e-12)
