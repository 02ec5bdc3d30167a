"""How far a run's scores can be trusted: its calibration, fitted on its validation part, and what that changes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from hearless import calibration, metrics
from hearless.calibration import Calibration
from hearless.run import Predictions, Run


def fitted(found: Predictions, *, multi_label: bool) -> Calibration | None:
    """Return the calibration of validation predictions; None beside a teacher, whose classes are no truth."""
    if found.reference is not None or not len(found.ids):
        return None
    return calibration.fit(found.true, found.logits, multi_label=multi_label)


def calibration_of(run: Run) -> Calibration | None:
    """Return a run's calibration: what its measured.json says, or fitted on its validation predictions.

    None where there are no such predictions.
    """
    measured, path = run.measured, run.predictions("validation")
    if "temperature" in measured:
        return Calibration(measured["temperature"], tuple(measured["thresholds"]), measured["none_below"])
    return fitted(Predictions.load(path), multi_label=measured["multi_label"]) if path.is_file() else None


def keep_calibration(run: Run, **more: Any) -> Calibration | None:
    """Write a run's calibration into its measured.json, unless it is there or cannot be fitted, and return it.

    Only who makes the run writes; who reads it asks `calibration_of`.
    """
    found = calibration_of(run)
    if found is not None and ("temperature" not in run.measured or more):
        run.write("measured.json", {**run.measured, **asdict(found), **more})
    return found


def trust(found: Predictions, rule: Calibration, *, multi_label: bool) -> dict[str, float]:
    """Return how far scores ``[clip, class]`` can be trusted, as they are (raw) and calibrated.

    Expected calibration error, log loss in nats, and the share of clips that are given a class at all.
    """
    said = {}
    for suffix, temperature in (("_raw", 1.0), ("", rule.temperature)):
        scores = calibration.scores(found.logits, temperature, multi_label=multi_label)
        if multi_label:
            said[f"ece{suffix}"] = metrics.score_calibration_error(found.true, scores)
            losses = metrics.binary_losses(found.true, found.logits / temperature)
            said[f"log_loss{suffix}"] = float(losses.mean())
        else:
            true = found.true.argmax(1)
            said[f"ece{suffix}"] = metrics.expected_calibration_error(true, scores)
            said[f"log_loss{suffix}"] = metrics.log_loss(true, scores)
    return {**said, "named": float(rule.named(scores, multi_label=multi_label).any(1).mean())}
