"""A classifier's own classes gathered to the data set's by hand: nothing is learned (paper 003 §4.4, its baseline).

Each class of the data set is as likely as the likeliest of the classes mapped to it (`hearless.labels.groups`), or as
their sum.  The paper says only that it tried such a mapping and that it did worse than a trained head.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from hearless.interfaces import HearlessError, Prediction
from hearless.labels.groups import members, set_of_size

EXAMPLE: dict[str, Any] = {"n_classes": 10, "n_scores": 527}

RULES = ("max", "sum")


class ClassAggregation(nn.Module):
    """Prediction over AudioSet's classes → prediction over a data set's.

    Args:
        n_classes: target classes.
        n_scores: the classifier's classes: 527 (AudioSet) or 521 (YAMNet).
        mapping: which classes make up which: ``"urbansound8k"`` or ``"sonyc_ust"``.
        labels: the target classes in order; empty: the mapping's own order.
        rule: ``"max"`` or ``"sum"`` of their scores; the logits of a sum ``s`` are ``ln s``, for a sum may exceed 1.

    Raises:
        HearlessError: an unknown mapping, label or rule, or numbers that do not fit them.
    """

    def __init__(
        self, *, n_classes: int, n_scores: int = 527, mapping: str = "urbansound8k", labels: tuple[str, ...] = (),
        rule: str = "max",
    ) -> None:  # fmt: skip
        super().__init__()
        if n_classes < 1:
            raise HearlessError(f"ClassAggregation: n_classes must be at least 1, got {n_classes}.")
        if rule not in RULES:
            raise HearlessError(f"ClassAggregation: rule must be one of {', '.join(RULES)}, got {rule!r}.")
        found = members(mapping, set_of_size(n_scores), labels)
        if len(found) != n_classes:
            raise HearlessError(
                f"ClassAggregation: n_classes must be that of the classes mapped by hand, got {n_classes} and "
                f"{len(found)}; name the target classes in labels."
            )
        self.n_classes, self._n_scores, self._rule = n_classes, n_scores, rule
        self._places = [list(places) for places in found.values()]

    def forward(self, prediction: Prediction) -> Prediction:
        """Judge ``prediction.logits`` ``[batch, score]``; embedding, features and maps are passed on.

        Raises:
            HearlessError: another number of scores.
        """
        if prediction.logits.shape[-1] != self._n_scores:
            raise HearlessError(
                f"ClassAggregation: n_scores must be the classifier's classes, got {self._n_scores} for "
                f"{prediction.logits.shape[-1]}; set n_scores={prediction.logits.shape[-1]}."
            )
        each = [prediction.logits[:, places] for places in self._places]
        if self._rule == "max":
            logits = torch.stack([own.amax(1) for own in each], 1)
        else:
            logits = torch.stack([nn.functional.logsigmoid(own).logsumexp(1) for own in each], 1)
        return Prediction(logits, prediction.embedding, prediction.features, prediction.maps)
