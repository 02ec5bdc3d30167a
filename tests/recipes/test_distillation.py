"""The study of other ways to distil: one budget, each paper's objective, the right teachers, the maps compared."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch

from hearless.datasets.csv_labels import CsvLabels
from hearless.interfaces import HearlessError
from hearless.recipe import Recipe
from hearless.recipes.low_rate import basd, cssd, distillation, dkd, fine_tuned, full_band
from hearless.recipes.low_rate.settings import Settings, from_words
from hearless.spec import spec
from hearless.study import Study
from hearless.teachers import Trained

TABLE = spec(CsvLabels, table="meta.csv")
CONTROLS = ("Tf-KD", "label smoothing")
ON_LOGITS = ("DKD", "DIST", "standardised logits")


def settings(**words: Any) -> Settings:
    return from_words(TABLE, **{"backbone": "mn02", "stored_draws": 3, **words})


@pytest.fixture(scope="module")
def made() -> Study:
    return distillation.study([settings()], task="A task.")


def recipes(study: Study) -> dict[str, Recipe]:
    return {row.label: row.options[0] for row in study.rows}


def test_every_way_is_a_row_of_its_own(made: Study) -> None:
    assert list(recipes(made)) == [
        "fine-tuned", "CSSD (Hinton)", "BASD", "DKD", "DIST", "standardised logits", "RKD", "similarity", "VID", "CRD",
        "attention", "hints", "review", "Tf-KD", "label smoothing",
    ]  # fmt: skip
    assert len({recipe.digest for recipe in recipes(made).values()}) == len(made.rows)
    assert ("DKD", "fine-tuned") in made.compare
    taught = [row.label for row in made.rows if row.condition["handed on"] != "nothing"]
    assert [a for a, b in made.compare if b == "Tf-KD"] == taught


def test_table_1s_runs_are_taken_as_they_are(made: Study) -> None:
    found = recipes(made)
    assert found["fine-tuned"] == fine_tuned.recipe(settings(), 1000)
    assert found["CSSD (Hinton)"] == cssd.recipe(settings(), 1000)
    assert found["BASD"] == basd.recipe(settings(), 1000)
    assert found["DKD"] == dkd.recipe(settings(), 1000)


def test_rows_differ_in_objective_and_teacher_alone(made: Study) -> None:
    found = recipes(made)
    plain = found["fine-tuned"]
    for recipe in found.values():
        stage = replace(recipe.stages[0], objectives=plain.stages[0].objectives)
        assert replace(recipe, stages=(stage,), teacher=None, stored_draws=0) == plain


def test_the_16_khz_generation_teaches_and_controls_have_nobody(made: Study) -> None:
    upper = Trained(full_band.recipe(settings()))
    for label, recipe in recipes(made).items():
        if label in ("fine-tuned", *CONTROLS):
            assert recipe.teacher is None
        elif label != "BASD":
            assert recipe.teacher == upper


def test_logits_and_embeddings_are_stored(made: Study) -> None:
    stored = {label for label, recipe in recipes(made).items() if recipe.stored_draws == 3}
    assert stored == {"CSSD (Hinton)", "BASD", *ON_LOGITS, "RKD", "similarity", "VID", "CRD"}
    assert any("replay 3 draws" in note for note in made.notes)
    running = distillation.study([settings(stored_draws=0)])
    assert not any("replay" in note for note in running.notes)


@pytest.mark.parametrize(
    ("label", "weights"),
    [
        ("DKD", {"alpha": 1.0, "beta": 8.0, "temperature": 4.0, "hard_weight": 1.0}),
        ("DIST", {"alpha": 1.0, "beta": 2.0, "gamma": 2.0, "temperature": 1.0}),
        ("standardised logits", {"temperature": 2.0, "soft_weight": 9.0, "hard_weight": 0.1}),
        ("RKD", {"distance_weight": 25.0, "angle_weight": 50.0, "hard_weight": 1.0}),
        ("similarity", {"gamma": 3000.0, "hard_weight": 1.0}),
        ("VID", {"information_weight": 1.0, "hard_weight": 1.0, "initial_variance": 5.0}),
        ("CRD", {"temperature": 0.07, "contrast_weight": 0.8, "hard_weight": 1.0, "dimension": 128}),
        ("attention", {"beta": 1000.0, "hard_weight": 1.0}),
        ("hints", {"hint_weight": 100.0, "hard_weight": 1.0}),
        ("review", {"review_weight": 1.0, "hard_weight": 1.0, "width": 64}),
        ("Tf-KD", {"alpha": 0.9, "temperature": 20.0, "confidence": 0.99}),
        ("label smoothing", {"label_smoothing": 0.1}),
    ],
)
def test_each_weighs_its_terms_as_its_paper_does(made: Study, label: str, weights: dict[str, float]) -> None:
    (objective,) = recipes(made)[label].stages[0].objectives
    assert {name: value for name, value in objective.arguments.items() if name != "maps"} == weights


@pytest.mark.parametrize(("backbone", "frames"), [("mn02", 4), ("mobilenetv2", 4), ("cnn14_16k", 4), ("resnet38", 4)])
def test_stages_end_where_frames_halve(backbone: str, frames: int) -> None:
    """The last map before each halving of the time axis, so that neighbours differ by a factor of 2 or more."""
    view = settings(backbone=backbone, weights="none").view(1000)
    ends = distillation.stage_ends(view)
    classifier = view.classifier.build().eval()
    with torch.inference_mode():
        maps = classifier(torch.zeros(1, 1, 64, 256), maps=True).maps
    sizes = [maps[name].shape[3] for name in ends]
    assert len(ends) == frames
    assert all(before >= 2 * after - 1 for before, after in pairwise(sizes))
    assert ends[-1] == list(maps)[-1]


def test_hints_take_the_middle_stage(made: Study) -> None:
    ends = distillation.stage_ends(settings().view(1000))
    (hints,), (review,) = (recipes(made)[label].stages[0].objectives for label in ("hints", "review"))
    assert hints.arguments["maps"] == ends[1]
    assert review.arguments["maps"] == ",".join(ends)


def test_a_transformer_has_no_maps_to_compare() -> None:
    with pytest.raises(HearlessError, match="PaSST gives no inner maps of bands and frames"):
        distillation.stage_ends(settings(backbone="passt_s", weights="none").view(1000))


def test_an_axis_of_its_own_is_said(made: Study) -> None:
    own = distillation.study([settings(axis="own")])
    assert "axis=own" in own.notes[0]
    assert not any("axis=own" in note for note in made.notes)
    assert {row.options[0].digest for row in own.rows}.isdisjoint(row.options[0].digest for row in made.rows)


def test_what_it_cannot_compare_is_refused() -> None:
    with pytest.raises(HearlessError, match=r"one backbone and one rate, got 2 and \[1000\]"):
        distillation.study([settings(), settings()])
    with pytest.raises(HearlessError, match="distillation takes clips of one class each, and the data hold clips of"):
        distillation.study([settings(multi_label=True)])
    with pytest.raises(HearlessError, match="dkd takes clips of one class each"):
        dkd.recipe(settings(multi_label=True))
