"""A linear probe: one layer on a classifier's embedding (Alain and Bengio, 2016); the classifier may stay frozen."""

from __future__ import annotations

from typing import Any

from torch import nn

from hearless.interfaces import HearlessError, Prediction

EXAMPLE: dict[str, Any] = {"n_classes": 3, "dimension": 5}


class LinearProbe(nn.Module):
    """Prediction with an embedding → prediction over the target classes.

    Args:
        n_classes: target classes.
        dimension: of the embedding: 512 (mn04), 1024 (YAMNet), 2048 (PANNs).

    Raises:
        HearlessError: a number below 1.
    """

    def __init__(self, *, n_classes: int, dimension: int) -> None:
        super().__init__()
        for name, value in (("n_classes", n_classes), ("dimension", dimension)):
            if value < 1:
                raise HearlessError(f"LinearProbe: {name} must be at least 1, got {value}; give the real number.")
        self.n_classes = n_classes
        self.output = nn.Linear(dimension, n_classes)

    def forward(self, prediction: Prediction) -> Prediction:
        """Judge ``prediction.embedding`` ``[batch, dimension]``; embedding, features and maps are passed on.

        Raises:
            HearlessError: an embedding of another dimension.
        """
        if prediction.embedding.shape[-1] != self.output.in_features:
            raise HearlessError(
                f"LinearProbe: dimension must be the embedding's, got {self.output.in_features} for "
                f"{prediction.embedding.shape[-1]}; set dimension={prediction.embedding.shape[-1]}."
            )
        return Prediction(self.output(prediction.embedding), prediction.embedding, prediction.features, prediction.maps)
