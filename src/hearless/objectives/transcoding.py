"""What a frozen classifier says of transcoded features, held against what it says of the true ones (paper 003 §3.3).

``L = logits * BCE(sigmoid(z_s), sigmoid(z_t)) + features * MSE(x_s, x_t)``: with ``features=0`` the paper's CNN-logits,
with ``logits=0`` its CNN-mels, with both a mix (ours).  The student is the same classifier behind a transcoder, the
teacher hears the sound itself.  Mean over classes, or over bands and frames, then the weighted mean over clips.  What
differs from the published code: the cross entropy is taken on logits, where it does not overflow.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from hearless.interfaces import HearlessError, Needs, Prediction
from hearless.objectives._terms import check_logits, require_teacher, weighted_mean

EXAMPLE: dict[str, Any] = {"logits": 1.0, "features": 0.0}


def score_loss(student_logits: Tensor, teacher_logits: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return the binary cross entropy of the student's sigmoid scores with the teacher's, ``[batch, class]`` each."""
    check_logits("Transcoding", student_logits, teacher_logits)
    scores = teacher_logits.detach().to(student_logits).sigmoid()
    losses = F.binary_cross_entropy_with_logits(student_logits, scores, reduction="none")
    return weighted_mean(losses.mean(dim=-1), weight)


def feature_loss(student: Tensor | None, teacher: Tensor | None, weight: Tensor | None = None) -> Tensor:
    """Return the mean squared difference of the features ``[batch, 1, band, frame]`` that two classifiers saw.

    Raises:
        HearlessError: one of them is missing, or their axes differ.
    """
    if student is None or teacher is None or student.shape != teacher.shape:
        shapes = [None if one is None else tuple(one.shape) for one in (student, teacher)]
        raise HearlessError(
            f"Transcoding: student and teacher must see features of one shape, got {shapes[0]} and {shapes[1]}; give "
            "the transcoder the target of the teacher's classifier, or set features=0."
        )
    return weighted_mean((student - teacher.detach().to(student)).square().mean(dim=(1, 2, 3)), weight)


class Transcoding(nn.Module):
    """Paper 003's losses; terms ``logits`` and ``features``, each where its weight is not 0.

    Args:
        logits: weight of the scores' cross entropy.
        features: weight of the features' squared difference.

    Raises:
        HearlessError: a negative weight, or none above 0.
    """

    needs_teacher: bool = True
    needs: Needs

    def __init__(self, *, logits: float = 1.0, features: float = 0.0) -> None:
        super().__init__()
        if min(logits, features) < 0 or max(logits, features) <= 0:
            raise HearlessError(
                f"Transcoding: logits and features must be 0 or more, one above 0, got {logits} and {features}."
            )
        self.logits, self.features = logits, features
        self.needs = "features" if features else "logits"

    def bind(self, student: Prediction, teacher: Prediction | None) -> None:
        """Own nothing; refuse a missing teacher or one with other classes."""
        require_teacher("Transcoding", student, teacher)

    def forward(
        self, student: Prediction, teacher: Prediction | None, target: Tensor, weight: Tensor
    ) -> dict[str, Tensor]:
        """Return the terms; ``weight`` ``[batch]``; the target is not looked at."""
        logits = require_teacher("Transcoding", student, teacher)
        terms = {}
        if self.logits:
            terms["logits"] = self.logits * score_loss(student.logits, logits, weight)
        if self.features and teacher is not None:
            terms["features"] = self.features * feature_loss(student.features, teacher.features, weight)
        return terms
