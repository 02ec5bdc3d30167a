"""Who gives the reference prediction.  Teachers are data; only `hearless.lab` finds or makes what they name.

`Pretrained` names a weights file, `Trained` a recipe, `CrossFitted` a recipe trained several times so that no copy
explains a clip it has trained on, `Fused` several teachers and how to combine them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from hearless.interfaces import HearlessError
from hearless.pipeline import PipelineSpec

FUSIONS = ("mean", "fitted")
"""How several teachers' logits become one."""


class Named(Protocol):
    """A recipe, as far as a teacher needs to know it."""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        ...


@dataclass(frozen=True)
class Pretrained:
    """A published or local weights file.

    ``weights`` is a short name of a weights table (``"mn04"``) or a path; ``sha256`` identifies the content and
    alone enters a run's name.  ``pipeline`` is needed only where it teaches as it is.
    """

    weights: str
    sha256: str = ""
    pipeline: PipelineSpec | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "teacher": "Pretrained",
            "weights": self.weights,
            "sha256": self.sha256,
            "pipeline": self.pipeline.to_json() if self.pipeline else None,
        }


@dataclass(frozen=True)
class Trained:
    """An earlier run of a recipe: on the student's own fold and seed unless it states its own.

    ``fold`` names one where the recipe's data set has other folds than the student's; in it ``{fold}`` stands for the
    student's own ("city/{fold}").
    """

    recipe: Named
    seed: int | None = None
    fold: str | None = None

    def fold_beside(self, fold: str) -> str:
        """Return the fold of the run that teaches a student on ``fold``."""
        return fold if self.fold is None else self.fold.replace("{fold}", fold)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; a fold of its own only where it has one."""
        own = {} if self.fold is None else {"fold": self.fold}
        return {"teacher": "Trained", "recipe": self.recipe.to_json(), "seed": self.seed, **own}


@dataclass(frozen=True)
class CrossFitted:
    """A recipe trained ``n_parts`` times, each time without one part of the training recordings.

    Each clip is explained by the copy that did not train on it; clips in no part by the mean of all.
    """

    recipe: Named
    n_parts: int = 3
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.n_parts < 2:
            raise HearlessError(
                f"n_parts must be at least 2, got {self.n_parts}; one part would leave nothing to train on."
            )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {"teacher": "CrossFitted", "recipe": self.recipe.to_json(), "n_parts": self.n_parts, "seed": self.seed}


@dataclass(frozen=True)
class Fused:
    """Several teachers; ``how="mean"`` averages their logits.

    ``how="fitted"`` gives each teacher a weight and each class a bias (paper 004, equation 4), fitted by cross entropy
    on the student's validation part, which no teacher may have trained on.
    """

    teachers: tuple[Pretrained | Trained | CrossFitted, ...]
    how: str = "mean"

    def __post_init__(self) -> None:
        if not self.teachers or self.how not in FUSIONS:
            raise HearlessError(
                "Fused takes at least one teacher and how='mean' or how='fitted', got "
                f"{len(self.teachers)}, {self.how!r}."
            )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {"teacher": "Fused", "teachers": [t.to_json() for t in self.teachers], "how": self.how}


Teacher = Pretrained | Trained | CrossFitted | Fused
