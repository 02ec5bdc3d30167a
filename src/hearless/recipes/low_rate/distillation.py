"""Ways to hand a 16 kHz teacher's knowledge to a low-rate student, all on one budget (paper 001 asks for other ways).

Every row is the fine-tuned training with another objective: the same data, network, start, epochs and schedule.  Each
objective weighs its terms as its paper does (see its file); Hinton's α and T, which CSSD and BASD take too, are the
settings'.  The hard labels' term stands once in each.  Two rows have no teacher and are controls: what they gain, no
teacher can claim, so every taught row is tested against Tf-KD too.

Objectives on inner maps need the teacher itself, so it listens at every step whatever ``stored_draws``: with mn04 on
one core an epoch takes 2.4 times as long as one with stored logits or embeddings, for the teacher hears 128 bands, the
student 24.  Teacher and student have as many frames but not as many bands; maps are averaged down to the fewer of
both (`hearless.objectives._features.at_one_size`), embeddings know no bands.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch

from hearless.interfaces import HearlessError
from hearless.objectives.attention_transfer import AttentionTransfer
from hearless.objectives.contrastive_representation import ContrastiveRepresentation
from hearless.objectives.cross_entropy import CrossEntropy
from hearless.objectives.dist import DIST
from hearless.objectives.hints import Hints
from hearless.objectives.relational_distillation import RelationalDistillation
from hearless.objectives.review import Review
from hearless.objectives.similarity_preserving import SimilarityPreserving
from hearless.objectives.standardised_distillation import StandardisedDistillation
from hearless.objectives.teacher_free import TeacherFree
from hearless.objectives.variational_information import VariationalInformation
from hearless.pipeline import PipelineSpec
from hearless.plural import plural
from hearless.recipe import Recipe
from hearless.recipes._shared import the_one_at_a_rate
from hearless.recipes.low_rate import basd, cssd, dkd, fine_tuned
from hearless.recipes.low_rate.settings import Settings, with_objective
from hearless.recipes.low_rate.table1 import rate_text
from hearless.spec import Spec, spec
from hearless.study import Row, Study

BACKBONES = ("mn04",)
STAGES = 4
"""Inner maps compared, at most: the last of each size, as the papers take one a group of layers."""
SMOOTHING = 0.1
CONTROL = "Tf-KD"
"""Distils from nobody: what a teacher is worth is what a row gains on it."""


@cache
def stage_ends(view: PipelineSpec) -> tuple[str, ...]:
    """Return the names of a network's last inner maps of each number of frames, from shallow to deep.

    Raises:
        HearlessError: it gives no maps of bands and frames.
    """
    with torch.device("meta"):
        classifier = view.classifier.build().eval()
    features = torch.empty(1, 1, max(64, classifier.min_bands), max(512, classifier.min_frames), device="meta")
    maps = classifier(features, maps=True).maps
    ends = {found.shape[3]: name for name, found in maps.items() if found.ndim == 4}
    if not ends:
        raise HearlessError(
            f"{view.classifier.name} gives no inner maps of bands and frames, which hints, attention and review "
            "compare; take a convolutional --backbone."
        )
    return tuple(ends.values())[-STAGES:]


def ways(settings: Settings, rate_hz: int) -> dict[str, tuple[str, Spec]]:
    """Return what a row hands on and its objective, by label, beside BASD, CSSD and DKD, which are recipes."""
    ends = stage_ends(settings.view(rate_hz))
    maps, middle = ",".join(ends), ends[(len(ends) - 1) // 2]
    return {
        "DIST": ("logits", spec(DIST)),
        "standardised logits": ("logits", spec(StandardisedDistillation)),
        "RKD": ("embedding", spec(RelationalDistillation)),
        "similarity": ("embedding", spec(SimilarityPreserving)),
        "VID": ("embedding", spec(VariationalInformation)),
        "CRD": ("embedding", spec(ContrastiveRepresentation)),
        "attention": ("maps", spec(AttentionTransfer, maps=maps)),
        "hints": ("one map", spec(Hints, maps=middle)),
        "review": ("maps", spec(Review, maps=maps)),
        CONTROL: ("nothing", spec(TeacherFree)),
        "label smoothing": ("nothing", spec(CrossEntropy, label_smoothing=SMOOTHING)),
    }


def taught(settings: Settings, rate_hz: int, label: str) -> Recipe:
    """Return the training of one of `ways`: of the 16 kHz generation, or of nobody."""
    handed, objective = ways(settings, rate_hz)[label]
    like = fine_tuned.recipe(settings, rate_hz) if handed == "nothing" else cssd.recipe(settings, rate_hz)
    return with_objective(like, objective, f"low_rate/{label.replace(' ', '_').lower()}-{rate_hz}Hz")


def study(
    each: Sequence[Settings], *, rates: Sequence[int] = (1000,), folds: tuple[str, ...] = (),
    seeds: tuple[int, ...] = (0,), task: str = "",
) -> Study:  # fmt: skip
    """Return the table of one backbone at one rate."""
    settings, rate = the_one_at_a_rate(each, rates)
    settings.refuse_multi_label("distillation")
    recipes = {
        "fine-tuned": ("nothing", fine_tuned.recipe(settings, rate)),
        "CSSD (Hinton)": ("logits", cssd.recipe(settings, rate)),
        "BASD": ("logits, own rate", basd.recipe(settings, rate)),
        "DKD": ("logits", dkd.recipe(settings, rate)),
        **{label: (what, taught(settings, rate, label)) for label, (what, _) in ways(settings, rate).items()},
    }
    condition = {"rate": rate_text(rate), "network": settings.backbone.name}
    rows = tuple(Row(label, {"handed on": what, **condition}, (made,)) for label, (what, made) in recipes.items())
    beyond = tuple((label, CONTROL) for label, (what, _) in recipes.items() if what != "nothing")
    return Study(
        name="low_rate/distillation", title="Ways to hand knowledge on", task=task, rows=rows, seeds=seeds, folds=folds,
        compare=(*((label, "fine-tuned") for label in recipes if label != "fine-tuned"), *beyond),
        notes=_notes(settings, rate),
    )  # fmt: skip


def _notes(settings: Settings, rate_hz: int) -> tuple[str, ...]:
    ends, n = ", ".join(stage_ends(settings.view(rate_hz))), settings.stored_draws
    draws = plural(n, "draw")
    replayed = (f"Rows on logits and embeddings replay {draws} of each clip's augmentation, the others draw anew.",)
    axis = ("Students hear a Mel axis made for their rate (axis=own), the teacher its own.",)
    return (
        *(axis if settings.axis == "own" else ()),
        "One budget: every row has fine-tuned's data, network, start, epochs and schedule; the objective differs"
        f"{', and whose augmentation is replayed (below)' if n else ''}.",
        f"CSSD and BASD: α {settings.alpha:g}, T {settings.temperature:g}; the others as in their papers, untuned.",
        f"Maps compared: {ends}. Where teacher and student differ in bands, the larger map is averaged down.",
        "Maps need the teacher at every step, logits and embeddings can be stored: see the seconds of each row.",
        *(replayed if n else ()),
    )
