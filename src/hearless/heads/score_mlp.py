"""Classifier scores → target classes through a narrow layer (paper 003 §4.4).

The scores are the frozen classifier's sigmoid outputs; ``Linear(→ 100) → Linear(→ classes)`` with no activation in
between, as in the published code: the product of two matrices, trained from two.  Its output goes through a sigmoid
and binary cross-entropy (for UrbanSound8K's single label too).
"""

from __future__ import annotations

from typing import Any

from torch import nn

from hearless.interfaces import HearlessError, Prediction

EXAMPLE: dict[str, Any] = {"n_classes": 3, "n_scores": 7, "hidden": 4}


class ScoreMLP(nn.Module):
    """Prediction over a classifier's classes → prediction over the target classes.

    Args:
        n_classes: target classes.
        n_scores: the classifier's classes: 527 (AudioSet), 521 (YAMNet).
        hidden: width of the layer in between, also of the embedding that is returned.

    Raises:
        HearlessError: a number below 1.
    """

    def __init__(self, *, n_classes: int, n_scores: int = 527, hidden: int = 100) -> None:
        super().__init__()
        for name, value in (("n_classes", n_classes), ("n_scores", n_scores), ("hidden", hidden)):
            if value < 1:
                raise HearlessError(f"ScoreMLP: {name} must be at least 1, got {value}; the paper's hidden is 100.")
        self.n_classes = n_classes
        self.inner = nn.Linear(n_scores, hidden)
        self.output = nn.Linear(hidden, n_classes)

    def forward(self, prediction: Prediction) -> Prediction:
        """Judge ``prediction.logits`` ``[batch, score]``; features and maps are passed on.

        Raises:
            HearlessError: another number of scores.
        """
        if prediction.logits.shape[-1] != self.inner.in_features:
            raise HearlessError(
                f"ScoreMLP: n_scores must be the classifier's classes, got {self.inner.in_features} for "
                f"{prediction.logits.shape[-1]}; set n_scores={prediction.logits.shape[-1]}."
            )
        embedding = self.inner(prediction.logits.sigmoid())
        return Prediction(self.output(embedding), embedding, prediction.features, prediction.maps)
