"""Predictions → the metrics by which epochs, α and T are chosen.

Beside a teacher, its first class stands for the true one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hearless import metrics
from hearless.interfaces import HearlessError
from hearless.run import Predictions

CHOSEN_BY = {False: ("accuracy", "macro_accuracy", "macro_f1", "loss"), True: ("mAP", "loss")}
"""The names of `measures`, by ``multi_label``; the first is the one of tables."""
SEEN, UNSEEN = "seen_devices", "unseen_devices"
"""The first measure on recording devices that were trained on and on others."""
AGREEMENT = ("agreement", "top5_agreement", "kl", "mel_mse", "loss")
"""The names of `measures` beside a teacher."""
TRAINING_TIME = "training time"
UNITS = {"kl": "nats / class", "mel_mse": "feature²", "loss": "nats", TRAINING_TIME: "s"}
TRUST_UNITS = {"log_loss": "nats", "log_loss_raw": "nats", "temperature": ""}
"""Units of what `trust` says, and of the temperature."""


def agreement(found: Predictions) -> dict[str, NDArray[np.float64]]:
    """Return per clip how far a listener agrees with its teacher; logits may be ``[seed, clip, class]``.

    ``agreement`` and ``top5_agreement`` of the first classes, paper 003's ``kl`` of the scores, ``mel_mse`` of the
    features, and ``loss``, the binary cross entropy of the scores with the teacher's.
    """
    if found.reference is None or found.distance is None:
        raise HearlessError("agreement needs a teacher's predictions beside the listener's; evaluate the run again.")
    logits = found.logits.reshape(-1, *found.reference.shape)
    theirs = metrics.sigmoid(found.reference)
    k = min(5, theirs.shape[1])
    each = {
        "agreement": [(run.argmax(1) == found.reference.argmax(1)).astype(np.float64) for run in logits],
        "top5_agreement": [metrics.top_k_shares(theirs, metrics.sigmoid(run), k) for run in logits],
        "kl": [metrics.published_divergences(theirs, metrics.sigmoid(run)) for run in logits],
        "mel_mse": list(found.distance.reshape(len(logits), -1).astype(np.float64)),
        "loss": [metrics.binary_losses(theirs, run) for run in logits],
    }
    return {name: np.stack(values) for name, values in each.items()}


def measures(found: Predictions, *, multi_label: bool) -> dict[str, float]:
    """Return the metrics by which epochs, α and T are chosen: accuracies, F1 and loss, mAP and loss, or agreement."""
    if found.reference is not None:
        return {name: float(values.mean()) for name, values in agreement(found).items()}
    if multi_label:
        return {
            "mAP": metrics.mean_average_precision(found.true, found.logits),
            "loss": float(metrics.binary_losses(found.true, found.logits).mean()),
        }
    true = found.true.argmax(1)
    return {
        "accuracy": metrics.accuracy(true, found.logits),
        "macro_accuracy": metrics.macro_accuracy(true, found.logits),
        "macro_f1": metrics.macro_f1(true, found.logits),
        "loss": metrics.log_loss(true, metrics.softmax(found.logits)),
    }
