"""A linear probe: one matrix on the embedding, and only the embedding."""

from __future__ import annotations

import pytest
import torch

from hearless.heads.linear_probe import LinearProbe
from hearless.interfaces import HearlessError, Prediction


def test_it_is_one_matrix_on_the_embedding():
    head, embedding = LinearProbe(n_classes=5, dimension=16), torch.randn(3, 16)
    judged = head(Prediction(torch.randn(3, 7), embedding))
    torch.testing.assert_close(judged.logits, embedding @ head.output.weight.T + head.output.bias)
    assert judged.embedding is embedding


def test_doubling_the_embedding_doubles_the_logits_less_the_bias():
    head, embedding = LinearProbe(n_classes=5, dimension=16), torch.randn(3, 16)
    once, twice = (head(Prediction(torch.zeros(3, 1), k * embedding)).logits - head.output.bias for k in (1, 2))
    torch.testing.assert_close(twice, 2 * once)


def test_wrong_sizes():
    with pytest.raises(HearlessError, match="dimension must be at least 1, got -1"):
        LinearProbe(n_classes=2, dimension=-1)
    with pytest.raises(HearlessError, match="got 512 for 1024; set dimension=1024"):
        LinearProbe(n_classes=2, dimension=512)(Prediction(torch.zeros(1, 3), torch.zeros(1, 1024)))
