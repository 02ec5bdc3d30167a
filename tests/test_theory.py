"""CKA, occlusion's groups and soft labels: against formulas in NumPy and scikit-learn, known values and laws."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import entropy
from sklearn.metrics import mutual_info_score

from hearless.interfaces import HearlessError
from hearless.theory import (
    BatchedCKA,
    band_groups,
    confusions,
    dark_knowledge,
    entropy_bits,
    excess_information_bits,
    gram,
    linear_cka,
    mutual_information_bits,
    profile_correlation,
    runner_up,
    softened,
    unbiased_hsic,
)

rng = np.random.default_rng(0)
X, Y = rng.standard_normal((40, 6)) + 3, rng.standard_normal((40, 9))
MIXED = np.tanh(X @ rng.standard_normal((6, 9))) + 0.5 * Y


def test_cka_is_its_formula() -> None:
    """Kornblith et al., eq. 4: ‖Yᵀ X‖² / (‖Xᵀ X‖ ‖Yᵀ Y‖) of centred features."""
    for y in (Y, MIXED):
        a, b = X - X.mean(0), y - y.mean(0)
        wanted = np.linalg.norm(b.T @ a) ** 2 / (np.linalg.norm(a.T @ a) * np.linalg.norm(b.T @ b))
        assert linear_cka(X, y) == pytest.approx(wanted)


def test_cka_knows_the_same_and_forgets_rotation_scale_and_shift() -> None:
    rotation = np.linalg.qr(rng.standard_normal((9, 9)))[0]
    assert linear_cka(X, X) == pytest.approx(1.0)
    assert linear_cka(MIXED, 7 * MIXED @ rotation + 2) == pytest.approx(1.0)
    assert linear_cka(X, 7 * MIXED @ rotation + 2) == pytest.approx(linear_cka(X, MIXED))
    a, b = np.linalg.qr(np.column_stack([np.ones(40), rng.standard_normal((40, 2))]))[0][:, 1:].T
    assert linear_cka(a[:, None], b[:, None]) == pytest.approx(0.0, abs=1e-12)
    assert np.isnan(linear_cka(X, np.ones((40, 2))))


def test_unbiased_hsic_is_its_definition_and_zero_for_what_is_unrelated() -> None:
    """Song et al.: the sum over distinct pairs and quadruples, here by brute force on six clips."""
    k, ell = gram(X[:6]), gram(MIXED[:6])
    n = 6
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    first = np.mean([k[i, j] * ell[i, j] for i, j in pairs])
    four = np.mean([k[i, j] * ell[q, r] for i, j in pairs for q, r in pairs if len({i, j, q, r}) == 4])
    three = np.mean([k[i, j] * ell[i, q] for i, j in pairs for q in range(n) if len({i, j, q}) == 3])
    assert unbiased_hsic(k, ell) == pytest.approx(first + four - 2 * three)
    draws = [unbiased_hsic(gram(rng.standard_normal((8, 3))), gram(rng.standard_normal((8, 3)))) for _ in range(600)]
    assert abs(np.mean(draws)) < 4 * np.std(draws) / np.sqrt(len(draws))


def test_batched_cka_comes_near_the_whole() -> None:
    many = rng.standard_normal((1200, 5))
    other = np.tanh(many @ rng.standard_normal((5, 4)))
    gathered = BatchedCKA()
    for start in range(0, 1200, 50):
        rows = slice(start, start + 50)
        gathered.add({"in": many[rows], "deep": many[rows, :, None]}, {"out": other[rows]})
    names = gathered.matrix()
    assert names[:2] == (("in", "deep"), ("out",))
    assert names[2].shape == (2, 1)
    assert gathered.value("in", "out") == pytest.approx(linear_cka(many, other), abs=0.03)
    assert gathered.value("deep", "out") == pytest.approx(gathered.value("in", "out"))
    assert gathered.n_clips == 1200
    same = BatchedCKA()
    same.add({"a": X}, {"a": X})
    same.add({"a": X[:3]}, {"a": X[:3]})  # too few: left out
    assert (same.value("a", "a"), same.n_clips) == (pytest.approx(1.0), 40)


def test_band_groups_cover_every_band_once() -> None:
    for n_bands, n_groups in ((24, 8), (40, 7), (5, 5), (9, 1)):
        groups = band_groups(n_bands, n_groups)
        assert [band for first, end in groups for band in range(first, end)] == list(range(n_bands))
        assert max(e - f for f, e in groups) - min(e - f for f, e in groups) <= 1


def test_soft_labels_are_scipys_and_sharpen_with_lower_temperature() -> None:
    logits = rng.standard_normal((30, 5))
    shares = softened(logits, 2.0)
    np.testing.assert_allclose(shares, np.exp(logits / 2) / np.exp(logits / 2).sum(1, keepdims=True))
    np.testing.assert_allclose(entropy_bits(shares), entropy(shares, base=2, axis=1))
    assert (entropy_bits(softened(logits, 1.0)) < entropy_bits(shares)).all()
    assert entropy_bits(np.eye(4)).tolist() == [0.0] * 4
    assert entropy_bits(np.full((1, 8), 1 / 8))[0] == pytest.approx(3.0)
    assert runner_up(np.array([[0.7, 0.1, 0.2], [0.7, 0.1, 0.2]]), np.array([0, 2])).tolist() == [2, 0]


def test_dark_knowledge_is_the_mean_beside_the_diagonal() -> None:
    true = np.array([0, 0, 1])
    shares = np.array([[0.6, 0.3, 0.1], [0.8, 0.0, 0.2], [0.5, 0.5, 0.0]])
    found = dark_knowledge(true, shares)
    np.testing.assert_allclose(found[:2], [[0, 0.5, 0.5], [1, 0, 0]])
    assert np.isnan(found[2]).all()
    assert shares[0, 0] == 0.6  # untouched
    wrong = confusions(np.array([0, 0, 0, 1]), np.array([1, 1, 2, 1]), 3)
    np.testing.assert_allclose(wrong[0], [0, 2 / 3, 1 / 3])
    assert np.isnan(wrong[1:]).all()
    assert profile_correlation(found, found) == pytest.approx(1.0)
    assert np.isnan(profile_correlation(found, np.full((3, 3), np.nan)))


def test_mutual_information_is_scikit_learns_and_shuffles_take_off_what_chance_fakes() -> None:
    a = rng.integers(0, 5, 200)
    b = np.where(rng.random(200) < 0.5, a, rng.integers(0, 5, 200))
    assert mutual_information_bits(a, b) == pytest.approx(mutual_info_score(a, b) / np.log(2))
    assert mutual_information_bits(a, a) == pytest.approx(entropy(np.bincount(a), base=2))
    faked = [np.random.default_rng(n).integers(0, 5, 200) for n in range(20)]
    assert np.mean([mutual_information_bits(a, one) for one in faked]) > 0.04
    excess = [excess_information_bits(a, one, np.random.default_rng(1), 50) for one in faked]
    assert abs(np.mean(excess)) < 0.02
    assert excess_information_bits(a, b, np.random.default_rng(1)) > 0.3
    assert mutual_information_bits(a[:0], b[:0]) == 0.0


def test_wrong_input() -> None:
    with pytest.raises(HearlessError, match="both representations must be of the same 2 clips or more, got 40 and 39"):
        linear_cka(X, Y[:39])
    with pytest.raises(HearlessError, match="the same 4 clips or more, got 3 and 3"):
        unbiased_hsic(gram(X[:3]), gram(X[:3]))
    with pytest.raises(HearlessError, match="groups must number 1 to 4, one band each at most, got 5"):
        band_groups(4, 5)
    with pytest.raises(HearlessError, match=r"temperature must be above 0, got 0"):
        softened(X, 0)
    with pytest.raises(HearlessError, match="both labelings must be of the same clips, got 40 and 2"):
        mutual_information_bits(np.zeros(40), np.zeros(2))
