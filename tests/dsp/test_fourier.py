"""The transform by products against torch's, and in a graph without a Fourier operator."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from hearless.dsp.fourier import fourier_parts, fourier_tables
from hearless.frontends.preemphasis_mel import PreEmphasisMel
from hearless.interfaces import HearlessError


@pytest.mark.parametrize("n_fft", [2, 3, 7, 12, 64, 75, 512, 1000, 4096])
def test_it_is_torchs_transform(n_fft: int) -> None:
    frames = torch.randn(2, 3, n_fft, dtype=torch.float64, generator=torch.Generator().manual_seed(n_fft))
    wanted = torch.view_as_real(torch.fft.rfft(frames)).flatten(-2)
    torch.testing.assert_close(fourier_parts(frames, fourier_tables(n_fft)), wanted, atol=1e-9, rtol=0)


def test_4096_samples_take_a_million_multiplications_and_a_hundred_kilobytes() -> None:
    inner, turns, outer = fourier_tables(4096)
    products = 64 * inner.numel() + turns.numel() * 2 + 64 * outer.numel()
    assert products < 1.1e6
    assert 4 * sum(table.numel() for table in (inner, turns, outer)) < 105_000


class Heard(nn.Module):
    """A front end with a weight, as exporters ask for a module."""

    def __init__(self) -> None:
        super().__init__()
        self.frontend = PreEmphasisMel(input_rate_hz=16000, mel_bands=32)

    def forward(self, waveform: Tensor) -> Tensor:
        features: Tensor = self.frontend(waveform)
        return features


def test_an_exported_front_end_multiplies_and_says_the_same() -> None:
    waveform = 0.1 * torch.randn(2, 4000, generator=torch.Generator().manual_seed(0))
    network = Heard().eval()
    program = torch.export.export(network, (waveform,))
    names = {str(node.target) for node in program.graph.nodes}
    assert not [name for name in names if "fft" in name or "complex" in name]
    torch.testing.assert_close(program.module()(waveform), network(waveform), atol=1e-5, rtol=0)


def test_wrong_input() -> None:
    with pytest.raises(HearlessError, match="n_fft must be at least 2, got 1"):
        fourier_tables(1)
