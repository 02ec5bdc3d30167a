"""Pipelines as files that other runtimes run: what the exporters share, and the gate that every file passes.

The sensor is outside: an observation goes in, logits come out.  A file is run on held-out clips in its own runtime and
compared with PyTorch; it is refused where logits or labels differ by more than the tolerance, and the measured numbers
go into its card.
"""

from __future__ import annotations

import copy
import math
import re
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
"""How far a logit may lie from PyTorch's; in int8 a last digit in the front end moves an activation by a whole step."""

AGREEMENT = 0.99
"""The share of clips whose label (or labels) must be PyTorch's."""


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


def compare(run: Runner, whole: Whole, observations: Tensor, *, multi_label: bool = False) -> dict[str, float]:
    """Return how far a file's logits lie from PyTorch's, and the share of clips with the same label (or labels)."""
    got, wanted = np.asarray(run(observations.float().cpu().numpy())), torch_logits(whole, observations)
    if got.shape != wanted.shape:
        raise HearlessError(f"the file must give logits of shape {wanted.shape}, got {got.shape}; export it again.")
    same = ((got > 0) == (wanted > 0)).all(1) if multi_label else got.argmax(1) == wanted.argmax(1)
    apart = float(np.abs(got - wanted).max())
    return {
        "max_logit_difference": apart if np.isfinite(got).all() else math.inf,
        "label_agreement": float(same.mean()),
        "clips": float(len(got)),
    }


def gate(measured: dict[str, float], source: str, tolerance: float) -> dict[str, float]:
    """Return what `compare` measured, with its tolerance, or refuse.

    Raises:
        HearlessError: logits or labels differ by more than is allowed.
    """
    apart, agreement = measured["max_logit_difference"], measured["label_agreement"]
    if not (apart <= tolerance and agreement >= AGREEMENT):
        raise HearlessError(
            f"{source} must give PyTorch's logits within {tolerance:g} and {AGREEMENT:.0%} of its labels on held-out "
            f"clips, got {apart:.3g} apart and {agreement:.1%}; it is refused. Export it as fp32, train it "
            "for int8, or allow more by --tolerance and judge the file on clips of your own."
        )
    return {**measured, "tolerance": tolerance}


def shortest(whole: Whole, window: Tensor) -> int:
    """Return the fewest samples of a window ``[1, …, time]`` that the pipeline hears."""

    def hears(n_samples: int) -> bool:
        try:
            return bool(np.isfinite(torch_logits(whole, window[..., :n_samples])).all())
        except (HearlessError, RuntimeError, IndexError, ValueError, ZeroDivisionError):
            return False

    low, high = 0, window.shape[-1]
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if hears(middle) else (middle, high)
    return high


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
