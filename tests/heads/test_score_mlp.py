"""The paper's head: two linear layers on sigmoid scores, nothing in between."""

from __future__ import annotations

import pytest
import torch

from hearless.heads.score_mlp import ScoreMLP
from hearless.interfaces import HearlessError, Prediction


def test_it_is_two_matrices_on_sigmoid_scores():
    head = ScoreMLP(n_classes=10)
    logits = torch.randn(3, 527)
    first, second = head.inner, head.output
    hidden = (1 / (1 + (-logits).exp())) @ first.weight.T + first.bias
    judged = head(Prediction(logits, torch.zeros(3, 1)))
    torch.testing.assert_close(judged.embedding, hidden, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(judged.logits, hidden @ second.weight.T + second.bias, rtol=1e-4, atol=1e-5)
    assert hidden.shape == (3, 100)
    assert hidden.min() < 0  # no rectifier


def test_published_sizes():
    assert sum(p.numel() for p in ScoreMLP(n_classes=10).parameters()) == 527 * 100 + 100 + 100 * 10 + 10


def test_wrong_sizes():
    with pytest.raises(HearlessError, match="hidden must be at least 1, got 0"):
        ScoreMLP(n_classes=2, hidden=0)
    with pytest.raises(HearlessError, match="got 527 for 521; set n_scores=521"):
        ScoreMLP(n_classes=2)(Prediction(torch.zeros(1, 521), torch.zeros(1, 4)))
