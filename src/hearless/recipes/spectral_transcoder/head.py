"""A head on a frozen classifier's scores: 527 (or 521) → 100 → the data set's classes (paper 003 §4.4).

Binary cross-entropy for single labels too, Adam at 1e-3, 30 epochs, batches of 32, as in the published code; the epoch
is chosen on validation, which that code has none of (``protocol=as_released`` does without it, too).
"""

from __future__ import annotations

from dataclasses import replace

from hearless.heads.class_aggregation import ClassAggregation
from hearless.heads.score_mlp import ScoreMLP
from hearless.labels import label_names
from hearless.objectives.binary_cross_entropy import BinaryCrossEntropy
from hearless.recipe import Recipe, Stage
from hearless.recipes.spectral_transcoder._released import view_of_head
from hearless.recipes.spectral_transcoder.settings import Settings
from hearless.spec import spec
from hearless.teachers import Trained


def recipe(settings: Settings, transcoder: Recipe | None = None) -> Recipe:
    """Return the head's training behind a transcoder's recipe, or (None) behind the sound itself."""
    view = settings.true_view() if transcoder is None else transcoder.student
    view = view_of_head(settings, view) if settings.as_released else view
    head = spec(ScoreMLP, n_scores=len(label_names(settings.labels)))
    stage = Stage(
        (spec(BinaryCrossEntropy),), settings.head_epochs, settings.head_learning_rate, "constant", trains=("head",)
    )
    heard = "sound" if transcoder is None else transcoder.name.rpartition("/")[2]
    best = "max:mAP" if settings.multi_label else "max:accuracy"
    return Recipe(
        dataset=settings.data, student=replace(view, head=head), stages=(stage,),
        initial=settings.start if transcoder is None else Trained(transcoder, fold=settings.transcoder_fold or None),
        select="last" if settings.as_released else best, validation=settings.validation,
        train_on_validation=settings.as_released, peak_normalised=settings.as_released,
        protocol=settings.protocol, batch_size=settings.head_batch_size, clip_s=settings.head_clip_s,
        background=settings.background, name=f"spectral_transcoder/head-{settings.backbone.name}-{heard}",
    )  # fmt: skip


def by_hand(settings: Settings, transcoder: Recipe | None = None) -> Recipe:
    """Return the same with classes gathered by hand in the head's place: nothing trains (the paper's baseline)."""
    trained = recipe(settings, transcoder)
    head = spec(ClassAggregation, n_scores=len(label_names(settings.labels)), mapping=settings.mapping)
    return replace(
        trained, student=replace(trained.student, head=head), stages=(), name=trained.name.replace("head", "by_hand", 1)
    )
