"""Pipelines as files that other runtimes run: what the exporters share, and the gate that every file passes.

The sensor is outside: an observation goes in, logits come out.  A file is run on held-out clips in its own runtime and
compared with PyTorch; it is refused where its logits lie further apart than is allowed, or its labels differ.  Where a
label differs that PyTorch prefers by no more than that, it is a near-tie: counted apart, and few are borne.  What was
measured goes into its card.
"""

from __future__ import annotations

import copy
import math
import re
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from hearless.artifact import Card
from hearless.interfaces import Capture, Classifier, Enhancer, Frontend, Head, HearlessError
from hearless.pipeline import Pipeline
from hearless.provenance import environment
from hearless.quantize import Quantized, count_parameters, n_int8

Floats = npt.NDArray[np.float32]
Runner = Callable[[Floats], Floats]
"""Observations ``[n, time]`` (or levels) → logits ``[n, class]``."""

TOLERANCE = {"fp32": 1e-3, "int8": 0.5}
"""How far a logit may lie from PyTorch's; in int8 a last digit in the front end moves an activation by a whole step.

Above that of fp32 it is never more than the standard deviation of PyTorch's logits."""

AGREEMENT = 0.99
"""The share of clips whose label (or labels) must be PyTorch's, near-ties aside."""

TINY = float(np.finfo(np.float32).tiny)
"""By how much PyTorch prefers a label of an exact tie."""

NEAR_TIES = 0.05
"""The share of clips whose label may differ in a near-tie; one always may."""


class Whole(nn.Module):
    """A pipeline as a function from observations to logits, on the CPU and at rest: what is exported."""

    def __init__(self, pipeline: Pipeline) -> None:
        super().__init__()
        made = copy.deepcopy(pipeline).cpu().eval()
        self.frontend, self.enhancer, self.classifier, self.head = (
            made.frontend, made.enhancer, made.classifier, made.head,
        )  # fmt: skip
        self.requires_grad_(False)
        for tensor in chain(self.parameters(), self.buffers()):  # XNNPACK takes no int8 weights in channels-last
            tensor.data = tensor.data.contiguous()

    def forward(self, observation: Tensor) -> Tensor:
        """Return logits ``[batch, class]``."""
        features = cast(Frontend, self.frontend)(observation)
        if self.enhancer is not None:
            features = cast(Enhancer, self.enhancer)(features)
        prediction = cast(Classifier, self.classifier)(features)
        return (prediction if self.head is None else cast(Head, self.head)(prediction)).logits


def completed(card: Card, pipeline: Pipeline, held_out: Tensor, target: str) -> Card:
    """Return the card with what the pipeline itself says: precision, parameters and versions.

    Raises:
        HearlessError: the card is not of this pipeline, its network is not converted, or the held-out observations are
            not of the window's length.
    """
    classifier, capture = pipeline.classifier, cast(Capture, pipeline.capture)
    stage = classifier.stage if isinstance(classifier, Quantized) else "float"
    if stage in ("qat", "ptq"):
        raise HearlessError(f"an exported network must be float or int8, got one at stage {stage!r}; convert it first.")
    if isinstance(classifier, Quantized) and classifier.backend != target:
        raise HearlessError(
            f"export to {target} takes a network quantized for it, got one for {classifier.backend}; "
            f"quantize it with backend={target!r}."
        )
    if card.rate_hz != capture.rate_hz or len(card.labels) != pipeline.n_classes:
        raise HearlessError(
            f"the card must say {capture.rate_hz} Hz and {pipeline.n_classes} labels, as the pipeline does, got "
            f"{card.rate_hz} Hz and {len(card.labels)}; take it from the pipeline's own run."
        )
    if len(held_out) < 1 or held_out.shape[-1] != card.n_samples:
        raise HearlessError(
            f"held-out observations must be [clip, …, {card.n_samples}], a window each, got {tuple(held_out.shape)}; "
            "capture the clips first."
        )
    return replace(
        card,
        precision="int8" if stage == "int8" else "fp32",
        parameters=sum(count_parameters(part) for part in pipeline.parts().values()),
        versions={"hearless": environment()["hearless"], "torch": environment()["torch"]},
    )


def stored(card: Card, whole: Whole) -> Card:
    """Return the card with the network's int8 weights and what its numbers take (zero points, all 0, left out)."""
    kept = [
        value.nbytes
        for name, value in whole.state_dict().items()
        if not name.startswith("frontend.") and "_zero_point_" not in name
    ]
    return replace(card, int8_parameters=n_int8(whole), network_bytes=sum(kept))


def torch_logits(whole: Whole, observations: Tensor) -> Floats:
    """Return PyTorch's logits ``[n, class]``."""
    with torch.inference_mode():
        return cast(Floats, whole(observations.float().cpu()).numpy())


class RefusedError(HearlessError):
    """A file that does not say what PyTorch says; ``clip`` is the held-out clip that it is furthest off at."""

    def __init__(self, text: str, clip: int) -> None:
        super().__init__(text)
        self.clip = clip


def compare(
    run: Runner, whole: Whole, observations: Tensor, precision: str = "fp32", *, multi_label: bool = False,
    tolerance: float | None = None,
) -> dict[str, float]:  # fmt: skip
    """Return how far a file's logits lie from PyTorch's, and how many clips get another label (or other labels).

    Args:
        run: the file.
        whole: the pipeline in PyTorch.
        observations: ``[clip, …, time]``.
        precision: ``"fp32"`` or ``"int8"``.
        multi_label: any number of labels a clip, by the sign of its logits; else the one of the greatest.
        tolerance: how far a logit may lie from PyTorch's; None: `TOLERANCE`.

    Raises:
        HearlessError: the file gives logits of another shape.
    """
    got, wanted = np.asarray(run(observations.float().cpu().numpy())), torch_logits(whole, observations)
    if got.shape != wanted.shape:
        raise HearlessError(f"the file must give logits of shape {wanted.shape}, got {got.shape}; export it again.")
    allowed = max(TOLERANCE["fp32"], min(TOLERANCE[precision], float(wanted.std()))) if tolerance is None else tolerance
    apart = np.abs(got - wanted).max(1)
    lost = _lost(got, wanted, multi_label)
    return {
        "max_logit_difference": float(apart.max()) if np.isfinite(got).all() else math.inf,
        "tolerance": allowed,
        "label_agreement": float((lost == 0).mean()),
        "labels_differ": float((lost > 0).sum()),
        "near_ties_differ": float(((lost > 0) & (lost <= allowed)).sum()),
        "furthest_clip": float((lost if lost.max() > allowed else apart).argmax()),
        "clips": float(len(got)),
    }


def _lost(got: Floats, wanted: Floats, multi_label: bool) -> Floats:
    """Return by how much PyTorch prefers its own label to the file's, a clip each; 0 where they are the same.

    Of several labels it is the greatest logit of those that differ.
    """
    if multi_label:
        return cast(Floats, np.where((got > 0) != (wanted > 0), np.maximum(np.abs(wanted), TINY), 0.0).max(1))
    mine, others = wanted.argmax(1), got.argmax(1)
    clips = np.arange(len(got))
    lost = np.maximum(wanted[clips, mine] - wanted[clips, others], TINY)
    return cast(Floats, np.where(mine == others, 0.0, lost))


def gate(measured: dict[str, float], source: str) -> dict[str, float]:
    """Return what `compare` measured, or refuse.

    Raises:
        RefusedError: logits or labels differ by more than is allowed.
    """
    apart, tolerance, clips = (measured[name] for name in ("max_logit_difference", "tolerance", "clips"))
    differ, near = measured["labels_differ"], measured["near_ties_differ"]
    same = differ - near <= (1.0 - AGREEMENT) * clips and near <= max(1.0, NEAR_TIES * clips)
    if not (apart <= tolerance and same):
        raise RefusedError(
            f"{source} must give PyTorch's logits within {tolerance:.3g} and, near-ties aside, {AGREEMENT:.0%} of its "
            f"labels on held-out clips, got {apart:.3g} apart; {differ:.0f} of {clips:.0f} labels differ, "
            f"{near:.0f} of them in near-ties; it is refused. Allow more by --tolerance and judge the file on clips of "
            "your own.",
            int(measured["furthest_clip"]),
        )
    return measured


def shortest(whole: Whole, window: Tensor) -> int:
    """Return the fewest samples of a window ``[1, …, time]`` that the pipeline hears."""

    def hears(n_samples: int) -> bool:
        try:
            return bool(np.isfinite(torch_logits(whole, window[..., :n_samples])).all())
        except (HearlessError, RuntimeError, IndexError, ValueError, ZeroDivisionError):
            return False

    return 1 + bisect_left(range(1, window.shape[-1]), True, key=hears)


def refused(target: str, error: Exception) -> HearlessError:
    """Return what to tell of a pipeline that an exporter cannot express: the operator and what to do."""
    causes: list[BaseException] = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None and cause not in causes:
        causes.append(cause)
    said = re.sub(r"\x1b\[\d*m", "", "\n".join(str(one) for one in reversed(causes)))
    found = re.search(r"\b(aten|prims)[.:]+(\w+)", said)
    first = next(iter(said.strip().splitlines()), type(error).__name__)
    return HearlessError(
        f"{target} cannot express {f'operator {found[1]}.{found[2]}' if found else 'this pipeline'}: {first[:300]}; "
        f"export to {'executorch' if target == 'onnx' else 'onnx'} or train another classifier or front end."
    )


def missing(target: str, error: ImportError) -> HearlessError:
    """Return what to tell where an exporter's packages are missing."""
    return HearlessError(f"export to {target} needs more: pip install 'hearless[{target}]' ({error}).")
