"""Mixup against numpy and AST's order of things, its laws, its draws' statistics, and wrong input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hearless.augmentations.mixup import Mixup, mixup
from hearless.frontends.kaldi_fbank import KaldiFbank
from hearless.interfaces import Clip, Draw, HearlessError

CLIP = Clip("a", Path("a.wav"), ("dog",))
RATE_HZ = 16000
DRAWS: list[Draw] = [
    {"share": 0.3, "place": 0.5}, {"share": 1.0, "place": 0.1},
    {"share": 0.6, "place": 0.9}, {"share": 0.9, "place": 0.2},
]  # fmt: skip
PARTNERS = [1, 3, 0, 2]
"""The order of the places."""


def drawn(n: int, seed: int = 0, **arguments: float) -> list[Draw]:
    rng, made = np.random.default_rng(seed), Mixup(**arguments)
    return [made.draw(rng, CLIP, 1.0) for _ in range(n)]


def sound(n: int, n_samples: int = 800) -> torch.Tensor:
    return 0.1 * torch.randn(n, n_samples, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def by_hand(rows: np.ndarray) -> np.ndarray:
    return np.stack([
        draw["share"] * rows[i] + (1 - draw["share"]) * rows[partner]
        for i, (draw, partner) in enumerate(zip(DRAWS, PARTNERS, strict=True))
    ])  # fmt: skip


@pytest.mark.parametrize("shape", [(4, 800), (4, 3), (4, 1), (4,), (4, 1, 8, 5)])
def test_it_is_the_formula_in_numpy_whatever_is_mixed(shape: tuple[int, ...]) -> None:
    rows = torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    before = rows.clone()
    np.testing.assert_allclose(Mixup().apply(rows, DRAWS, RATE_HZ).numpy(), by_hand(rows.numpy()), rtol=1e-14)
    assert torch.equal(rows, before)


def test_labels_are_the_share_of_each() -> None:
    mixed = Mixup().apply(torch.eye(4), DRAWS, RATE_HZ)
    expected = torch.tensor([[0.3, 0.7, 0, 0], [0, 1, 0, 0], [0.4, 0, 0.6, 0], [0, 0, 0.1, 0.9]])
    torch.testing.assert_close(mixed, expected)


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 12), classes=st.integers(1, 6), seed=st.integers(0, 2**32))
def test_rows_of_a_one_hot_target_still_sum_to_1(n: int, classes: int, seed: int) -> None:
    target = torch.eye(classes)[torch.randint(classes, (n,), generator=torch.Generator().manual_seed(seed))]
    mixed = Mixup().apply(target, drawn(n, seed, probability=1.0), RATE_HZ)
    torch.testing.assert_close(mixed.sum(1), torch.ones(n), rtol=0, atol=2e-7)
    assert 0 <= mixed.min() <= mixed.max() <= 1


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 12), seed=st.integers(0, 2**32))
def test_a_batch_of_equal_clips_stays_as_it_is_to_the_bit(n: int, seed: int) -> None:
    same = sound(1).float().expand(n, -1)
    assert torch.equal(Mixup().apply(same, drawn(n, seed, probability=1.0), RATE_HZ), same)


def test_what_is_not_mixed_and_a_batch_of_one_stay_as_they_are_to_the_bit() -> None:
    x = sound(4).float()
    whole = [{**draw, "share": 1.0} for draw in DRAWS]
    assert torch.equal(Mixup().apply(x, whole, RATE_HZ), x)
    assert torch.equal(Mixup().apply(x, DRAWS, RATE_HZ)[1], x[1])
    assert torch.equal(Mixup().apply(x[:1], DRAWS[:1], RATE_HZ), x[:1])


def test_nothing_of_its_own_is_the_partner() -> None:
    x = sound(4)
    assert torch.equal(mixup(x, torch.zeros(4).double(), torch.tensor(PARTNERS)), x[PARTNERS])


def test_it_is_linear_in_the_batch() -> None:
    one, other = sound(4), sound(8)[4:]
    made = Mixup()
    together = made.apply(2.0 * one - 3.0 * other, DRAWS, RATE_HZ)
    apart = 2.0 * made.apply(one, DRAWS, RATE_HZ) - 3.0 * made.apply(other, DRAWS, RATE_HZ)
    torch.testing.assert_close(together, apart)


def test_removing_means_as_ast_does_is_the_same_behind_its_front_end() -> None:
    """Mean off each waveform, mixed, mean off again; or mixed as they are: the features agree."""
    x = sound(4, RATE_HZ) + torch.tensor([0.5, -0.2, 0.0, 0.3])[:, None]
    plain = x - x.mean(-1, keepdim=True)
    mixed = torch.from_numpy(by_hand(plain.numpy()))
    frontend = KaldiFbank()
    expected = frontend(mixed - mixed.mean(-1, keepdim=True))
    torch.testing.assert_close(frontend(Mixup().apply(x, DRAWS, RATE_HZ)), expected, rtol=0, atol=1e-8)
    assert (frontend(x) - expected).abs().max() > 0.01


def test_draws_follow_their_distributions() -> None:
    draws = drawn(6000, seed=1)
    share, place = (np.array([draw[key] for draw in draws]) for key in ("share", "place"))
    mixed = share < 1.0
    assert mixed.mean() == pytest.approx(0.6, abs=4 * (0.6 * 0.4 / 6000) ** 0.5)
    assert share[mixed].mean() == pytest.approx(0.5, abs=0.01)
    assert share[mixed].var() == pytest.approx(10 * 10 / (20**2 * 21), rel=0.1)
    assert stats.kstest(share[mixed], stats.beta(10, 10).cdf).pvalue > 0.001
    assert stats.kstest(place, "uniform").pvalue > 0.001
    assert abs(np.corrcoef(share[mixed], place[mixed])[0, 1]) < 0.06


def test_every_clip_meets_every_other_equally_often() -> None:
    n, rounds = 4, 3000
    draws = drawn(n * rounds, seed=2)
    partners = np.argsort(np.reshape([draw["place"] for draw in draws], (rounds, n)), axis=1)
    met = np.stack([(partners == j).mean(0) for j in range(n)])
    np.testing.assert_allclose(met, 1 / n, atol=4 * (0.25 * 0.75 / rounds) ** 0.5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_the_type_is_kept(dtype: torch.dtype) -> None:
    assert Mixup().apply(sound(4).to(dtype), DRAWS, RATE_HZ).dtype == dtype


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"probability": 0.0}, r"Mixup: probability must lie in 0\.\.1, 0 excluded, got 0\.0"),
        ({"probability": 1.5}, r"probability must lie in 0\.\.1, 0 excluded, got 1\.5"),
        ({"probability": float("nan")}, "probability must lie"),
        ({"alpha": 0.0}, r"Mixup: alpha must be above 0 and finite, got 0\.0; the paper's is 10"),
        ({"alpha": float("inf")}, "alpha must be above 0 and finite, got inf"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, float], said: str) -> None:
    with pytest.raises(HearlessError, match=said):
        Mixup(**arguments)


def test_wrong_input_is_refused() -> None:
    with pytest.raises(HearlessError, match=r"Mixup needs floating point, got torch\.int16"):
        Mixup().apply(torch.zeros(4, 10, dtype=torch.int16), DRAWS, RATE_HZ)
    with pytest.raises(HearlessError, match="Mixup needs one draw per clip, got 4 draws for 3 clips"):
        Mixup().apply(torch.zeros(3, 10), DRAWS, RATE_HZ)
    with pytest.raises(HearlessError, match=r"Mixup: a draw needs 'share', got \['place'\]; replay draws"):
        Mixup().apply(torch.zeros(1, 10), [{"place": 0.5}], RATE_HZ)
