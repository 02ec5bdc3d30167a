"""The enhancer against its literal form, by its laws, and wrong input."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from hearless.enhancers.time_frequency_enhancer import EnhancerBlock, TimeFrequencyEnhancer, checked_mask
from hearless.interfaces import HearlessError


def made(seed=0, **arguments):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return TimeFrequencyEnhancer(**arguments).double()


def features(bands=24, frames=40, clips=2, seed=1):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(clips, 1, bands, frames, dtype=torch.float64, generator=rng)


def literal(enhancer, x, kernel_size):
    """The paper's form: every block averages a whole 2-D mask and makes another."""
    state, mask = enhancer.state_dict(), x
    for i in range(len(enhancer.blocks)):
        curves = []
        for path, axis in (("time", 2), ("frequency", 3)):
            curve = mask.mean(axis)
            for layer, act in ((0, torch.relu), (2, torch.sigmoid)):
                weight, bias = (state[f"blocks.{i}.{path}.{layer}.{part}"] for part in ("weight", "bias"))
                curve = act(F.conv1d(curve, weight, bias, padding=kernel_size // 2))
            curves.append(curve)
        mask = torch.einsum("bct,bcf->bcft", *curves)
    return mask


@pytest.mark.parametrize(("n_blocks", "count"), [(1, 32), (2, 15_378), (4, 72_978)])
def test_counts_of_the_paper(n_blocks, count):
    assert sum(p.numel() for p in TimeFrequencyEnhancer(n_blocks=n_blocks).parameters()) == count
    base = 8_756_960  # EfficientNetV2-B2, 50 classes; the paper cuts to two decimals
    printed = {1: "8.75", 2: "8.77", 4: "8.82"}[n_blocks]
    assert str(math.floor((base + count) / 1e4) / 100) == printed


@pytest.mark.parametrize("n_blocks", [1, 2, 3, 4])
@pytest.mark.parametrize(("kernel_size", "bands", "frames"), [(7, 24, 40), (3, 5, 2), (1, 1, 1), (7, 1, 9)])
def test_it_equals_the_literal_form(n_blocks, kernel_size, bands, frames):
    enhancer, x = made(n_blocks=n_blocks, kernel_size=kernel_size, channels=6), features(bands, frames)
    with torch.no_grad():
        mask = literal(enhancer, x, kernel_size)
        torch.testing.assert_close(enhancer.mask(x), mask, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(enhancer(x), x * mask, rtol=1e-12, atol=1e-12)


def between_clips(n_blocks, initialisation, seeds=8):
    """The median over starts of how far the masks of six sounds of differing loudness and colour lie apart."""
    x = features(clips=6) * torch.linspace(0.1, 1.0, 6, dtype=torch.float64)[:, None, None, None]
    x = x + torch.linspace(-1, 1, 24, dtype=torch.float64)[:, None] * torch.randn(6, 1, 1, 1, dtype=torch.float64)
    with torch.no_grad():
        each = [
            made(seed, n_blocks=n_blocks, initialisation=initialisation).mask(x).std(0).mean() for seed in range(seeds)
        ]
    return float(torch.stack(each).median())


@pytest.mark.parametrize("n_blocks", [1, 2, 4])
def test_signal_keeps_what_differs_between_sounds(n_blocks):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert between_clips(n_blocks, "signal") > 1e-3


def test_the_start_of_pytorch_does_not():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert between_clips(4, "torch") < 1e-4 < 0.1 * between_clips(1, "torch")


def test_gradients_equal_those_of_the_literal_form():
    x = features()
    ours, theirs = made(n_blocks=4), made(n_blocks=4)
    ours(x).square().sum().backward()
    state = {key: p.detach().requires_grad_() for key, p in theirs.named_parameters()}
    theirs.state_dict = lambda: state
    (x * literal(theirs, x, 7)).square().sum().backward()
    for key, p in ours.named_parameters():
        torch.testing.assert_close(p.grad, state[key].grad, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("n_blocks", [1, 2, 4])
def test_a_mask_lies_between_0_and_1(n_blocks):
    mask = made(n_blocks=n_blocks).float().mask(10.0 * features().float())
    assert (mask > 0).all()
    assert (mask < 1).all()


def test_each_path_sees_only_its_own_axis():
    x, order = features(), torch.randperm(24, generator=torch.Generator().manual_seed(2))
    block = made(n_blocks=1).blocks[0]
    other = x[:, :, order]
    with torch.no_grad():
        time, frequency = block(x.mean(2), x.mean(3))
        time_shuffled, frequency_shuffled = block(other.mean(2), other.mean(3))
    torch.testing.assert_close(time_shuffled, time)
    assert not torch.allclose(frequency_shuffled, frequency)
    changed = x.clone()
    changed[..., 7] += torch.linspace(-1, 1, 24, dtype=torch.float64)  # its mean over bands stays
    with torch.no_grad():
        torch.testing.assert_close(block(changed.mean(2), changed.mean(3))[0], time)


@pytest.mark.parametrize("n_blocks", [1, 4])
def test_a_mask_has_rank_one(n_blocks):
    with torch.no_grad():
        values = torch.linalg.svdvals(made(n_blocks=n_blocks).mask(features())[:, 0])
    assert (values[:, 1] < 1e-12 * values[:, 0]).all()


def test_only_the_last_mask_meets_the_original_spectrogram():
    enhancer, x = made(n_blocks=4), features()
    with torch.no_grad():
        torch.testing.assert_close(enhancer(x) / x, enhancer.mask(x))


@pytest.mark.parametrize(("bands", "frames"), [(1, 1), (24, 512), (128, 3)])
def test_any_number_of_bands_and_frames(bands, frames):
    assert made()(features(bands, frames)).shape == (2, 1, bands, frames)


@pytest.mark.parametrize("n_blocks", [1, 2, 4])
@pytest.mark.parametrize("level", [-1.3, 0.0, 1.0])
def test_no_path_starts_shut(n_blocks, level):
    """A curve that does not move with the sound would mean a dead ReLU."""
    x = level + 0.3 * features(clips=1)
    shut = 0
    for seed in range(30):
        with torch.no_grad():
            mask = made(seed, n_blocks=n_blocks).mask(x)
        shut += sum(bool((mask.std(dim=axis) < 1e-9).all()) for axis in (2, 3))
    assert shut == 0  # of 60; with the bias near 0 between 11 and 29 are


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"n_blocks": 0}, "n_blocks must be at least 1, got 0; the paper"),
        ({"channels": 0}, "channels must be at least 1, got 0; 32"),
        ({"kernel_size": 6}, "kernel_size must be odd and at least 1, got 6; 7"),
        ({"kernel_size": -1}, "kernel_size must be odd"),
        ({"initialisation": "zero"}, "initialisation must be one of torch, signal, got 'zero'"),
    ],
)
def test_wrong_arguments(arguments, said):
    with pytest.raises(HearlessError, match=said):
        TimeFrequencyEnhancer(**arguments)


def test_a_mask_that_is_not_finite_is_refused():
    x = features()
    x[0, 0, 3, 4] = float("nan")
    enhancer = made(n_blocks=1)
    assert enhancer(x).isnan().any()  # in the graph nothing is checked
    with pytest.raises(HearlessError, match=r"a mask must be finite, got 554 of 1920 values.*lower learning rate"):
        enhancer.mask(x)
    good = torch.full((1, 1, 2, 2), 0.5)
    assert checked_mask(good) is good


def test_empty_features_are_refused():
    with pytest.raises(HearlessError, match=r"\[batch, 1, band, frame\], got \[2, 1, 0, 5\]; give the output"):
        made()(torch.zeros(2, 1, 0, 5, dtype=torch.float64))


def test_a_block_keeps_its_widths():
    time, frequency = EnhancerBlock(1, 5, 3)(torch.zeros(2, 1, 9), torch.zeros(2, 1, 4))
    assert time.shape == (2, 5, 9)
    assert frequency.shape == (2, 5, 4)
