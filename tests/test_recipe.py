"""Recipes: what enters the hash, what survives JSON, what is refused."""

from __future__ import annotations

import inspect
import json
import sys
from dataclasses import fields, replace
from typing import Any

import pytest

from hearless.augmentations.freq_mixstyle import FreqMixStyle
from hearless.augmentations.gain import Gain
from hearless.augmentations.mixup import Mixup
from hearless.augmentations.roll import Roll
from hearless.captures.full_band import FullBand
from hearless.captures.low_rate import LowRate
from hearless.classifiers.cnn14 import Cnn14
from hearless.classifiers.mobilenetv3 import MobileNetV3
from hearless.datasets.csv_labels import CsvLabels
from hearless.datasets.esc50 import ESC50
from hearless.frontends.log_mel import LogMel
from hearless.frontends.preemphasis_mel import PreEmphasisMel
from hearless.heads.score_mlp import ScoreMLP
from hearless.interfaces import HearlessError
from hearless.objectives.attention_transfer import AttentionTransfer
from hearless.objectives.contrastive_representation import ContrastiveRepresentation
from hearless.objectives.cross_entropy import CrossEntropy
from hearless.objectives.self_distillation import SelfDistillation
from hearless.objectives.transcoding import Transcoding
from hearless.pipeline import PipelineSpec
from hearless.recipe import Recipe, Stage, recipe_from_json, teacher_from_json
from hearless.spec import spec
from hearless.teachers import CrossFitted, Fused, Pretrained, Trained

HIGH = PipelineSpec(spec(FullBand), spec(PreEmphasisMel, input_rate_hz=16000), spec(MobileNetV3, width=0.2))
LOW = HIGH.hearing(spec(LowRate), spec(PreEmphasisMel, input_rate_hz=1000, bands=32))
MN04 = Pretrained("mn04", "ab" * 32)
HARD = Stage((spec(CrossEntropy),), 2)
HEAD = spec(ScoreMLP)
SOFT = Stage((spec(SelfDistillation, alpha=0.1),), 3, 1e-4, "constant", (0.8, 0.99), 0.01, ("classifier",))


def recipe(**changes: Any) -> Recipe:
    given: dict[str, Any] = {"dataset": spec(ESC50), "student": LOW, "stages": (HARD,), **changes}
    return Recipe(**given)


UPPER = recipe(student=HIGH, name="upper")
RECIPES = {
    "fine-tuned": recipe(initial=MN04, augmentations=(spec(Roll), spec(Gain, max_db=3.0))),
    "BASD": recipe(stages=(SOFT,), teacher=Trained(recipe()), initial=MN04, name="basd"),
    "CSSD": recipe(
        stages=(HARD, SOFT), teacher=Trained(UPPER, seed=1), initial=Trained(UPPER), stored_draws=4,
        augmentations=(spec(Roll),), clip_s=1.5, balance="weights", select="min:loss", precision="bf16-mixed",
    ),
    "CrossFitted": recipe(stages=(SOFT,), teacher=CrossFitted(UPPER, 4, seed=2), protocol="paper"),
    "Fused": recipe(stages=(SOFT,), teacher=Fused((Trained(UPPER), Pretrained("x.pt", "", HIGH), CrossFitted(UPPER)))),
}  # fmt: skip


@pytest.mark.parametrize("name", RECIPES)
def test_json_round_trip(name: str) -> None:
    made = RECIPES[name]
    read = recipe_from_json(json.loads(json.dumps(made.to_json())))
    assert read == made
    assert read.name == made.name
    assert read.digest == made.digest
    assert read.to_json() == made.to_json()
    assert hash(read) == hash(made)


def test_recipes_that_differ_have_hashes_that_differ() -> None:
    assert len({made.digest for made in RECIPES.values()}) == len(RECIPES)


OTHER: dict[str, dict[str, Any]] = {
    "dataset": {"dataset": spec(ESC50, esc10=True)},
    "student": {"student": replace(LOW, frontend=LOW.frontend.replace(bands=40))},
    "stages": {"stages": (HARD, SOFT)},
    "teacher": {"teacher": Trained(UPPER)},
    "initial": {"initial": MN04},
    "augmentations": {"augmentations": (spec(Roll),)},
    "stored_draws": {"stored_draws": 1},
    "clip_s": {"clip_s": 2.0},
    "balance": {"balance": "sampling"},
    "validation": {"validation": 0.2},
    "protocol": {"protocol": "paper"},
    "select": {"select": "last"},
    "batch_size": {"batch_size": 16},
    "precision": {"precision": "bf16-mixed"},
    "classes": {"classes": "audioset"},
    "training_share": {"training_share": 0.5},
    "train_on_validation": {"train_on_validation": True, "select": "last"},
    "peak_normalised": {"peak_normalised": True},
    "background": {"background": 0.1},
    "validation_seed": {"validation_seed": 0},
    "average_last": {"average_last": 2, "protocol": "paper"},
}


@pytest.mark.parametrize("field", [f.name for f in fields(Recipe) if f.name != "name"])
def test_every_field_enters_the_hash(field: str) -> None:
    base = recipe(teacher=Trained(recipe()))
    assert replace(base, **OTHER[field]).digest != base.digest


STAGE_OTHER: dict[str, Any] = {
    "objectives": (spec(CrossEntropy, label_smoothing=0.1),), "epochs": 3, "learning_rate": 2e-3,
    "schedule": "constant", "betas": (0.9, 0.99), "weight_decay": 0.1, "trains": ("classifier",),
    "optimizer": "adam", "decay": 0.9, "decay_after": 6, "decay_every": 1,
    "quantized": "onnx", "norms_until": 0.5, "ranges_until": 0.5,
    "adapters": "lora", "adapter_rank": 8, "adapter_alpha": 16.0, "adapter_statistics": False,
}  # fmt: skip


@pytest.mark.parametrize("field", [f.name for f in fields(Stage)])
def test_every_field_of_a_stage_enters_the_hash(field: str) -> None:
    changed = recipe(stages=(replace(HARD, **{field: STAGE_OTHER[field]}),))
    assert changed.digest != recipe().digest


@pytest.mark.parametrize(
    "student",
    [
        replace(LOW, capture=spec(LowRate, source_rate_hz=32000)),
        replace(LOW, frontend=LOW.frontend.replace(path="upsample")),
        replace(LOW, classifier=spec(MobileNetV3, width=0.3)),
        replace(LOW, classifier=spec(Cnn14)),
    ],
)
def test_every_part_of_the_student_enters_the_hash(student: PipelineSpec) -> None:
    assert recipe(student=student).digest != recipe().digest


@pytest.mark.parametrize(
    "teacher",
    [
        Trained(recipe()),
        Trained(UPPER, seed=0),
        Trained(UPPER, fold="1"),
        Trained(replace(UPPER, batch_size=8)),
        CrossFitted(UPPER),
        CrossFitted(UPPER, 4),
        CrossFitted(UPPER, seed=1),
        Fused((Trained(UPPER),)),
        Fused((Trained(UPPER), CrossFitted(UPPER))),
        Pretrained("a.pt", "", HIGH),
        Pretrained("b.pt", "", HIGH),
        Pretrained("b.pt", "", LOW),
        Pretrained("b.pt", "cd", HIGH),
    ],
)
def test_who_teaches_enters_the_hash(teacher: Any) -> None:
    assert recipe(teacher=teacher).digest != recipe(teacher=Trained(UPPER)).digest


def test_names_stay_out_of_the_hash_teachers_included() -> None:
    base = recipe(teacher=Trained(UPPER))
    assert base.named("other").digest == base.digest
    assert base.named("other") == base
    assert base.named("other").to_json() != base.to_json()
    assert recipe(teacher=Trained(UPPER.named("x"))).digest == base.digest
    assert recipe(teacher=Fused((Trained(UPPER.named("x")),))).digest == recipe(teacher=Fused((Trained(UPPER),))).digest


def test_where_files_lie_stays_out_of_the_hash() -> None:
    base = recipe(dataset=spec(CsvLabels))
    assert recipe(dataset=spec(CsvLabels, table="x/meta.csv", audio="elsewhere")).digest == base.digest
    assert recipe(dataset=spec(CsvLabels, label="species")).digest != base.digest
    assert recipe(dataset=spec(CsvLabels, n_folds=3)).digest != base.digest


def test_weights_are_known_by_their_content_where_it_is_stated() -> None:
    stated = recipe(initial=MN04)
    assert recipe(initial=replace(MN04, weights="/home/x/mn04.pt")).digest == stated.digest
    assert recipe(initial=replace(MN04, sha256="cd" * 32)).digest != stated.digest
    assert recipe(initial=Pretrained("a.pt")).digest != recipe(initial=Pretrained("b.pt")).digest


def test_the_hash_of_a_recipe_never_changes() -> None:
    """Runs are named by it: a change of this number orphans every run ever made."""
    assert RECIPES["CSSD"].digest == "b16975ef0c9d"


def with_curve(self: Gain, *, max_db: float = 6.0, curve: str = "flat") -> None:
    """Stand in for Gain's constructor after a later release."""
    self.max_db = max_db


@pytest.mark.parametrize("past", [spec(Gain), spec(Gain, max_db=3.0)])
def test_an_argument_added_later_stays_out_of_the_hash_at_its_default(
    past: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = recipe(augmentations=(past,)).digest
    monkeypatch.setattr(Gain, "__init__", with_curve)
    assert "curve" in inspect.signature(Gain).parameters
    assert recipe(augmentations=(spec(Gain, **past.arguments),)).digest != before
    monkeypatch.setattr(Gain, "ADDED_LATER", ("curve",), raising=False)
    assert recipe(augmentations=(spec(Gain, **past.arguments),)).digest == before
    assert recipe(augmentations=(spec(Gain, **past.arguments, curve="flat"),)).digest == before
    assert recipe(augmentations=(spec(Gain, **past.arguments, curve="steep"),)).digest != before


def test_a_recipe_stored_before_a_field_existed_still_loads() -> None:
    data = recipe().to_json()
    for later in ("initial", "teacher", "augmentations", "stored_draws", "clip_s", "balance", "precision", "select"):
        del data[later]
    for later in ("betas", "weight_decay", "trains"):
        del data["stages"][0][later]
    del data["student"]["enhancer"], data["student"]["frontend"]["high_hz"]
    assert recipe_from_json(data) == recipe()
    assert recipe_from_json(data).digest == recipe().digest


@pytest.mark.parametrize("foreign", ["os/system", "antigravity/Geohash", "hearless.cli/main", "classifiers/__init__"])
@pytest.mark.parametrize(
    "path",
    [
        ("dataset",), ("student", "capture"), ("student", "frontend"), ("student", "classifier"), ("student", "head"),
        ("stages", 0, "objectives", 0), ("augmentations", 0), ("teacher", "recipe", "student", "classifier"),
        ("teacher", "recipe", "dataset"), ("initial", "recipe", "stages", 0, "objectives", 0),
    ],
)  # fmt: skip
def test_a_foreign_class_is_refused_wherever_it_stands(foreign: str, path: tuple[Any, ...]) -> None:
    data = json.loads(json.dumps(RECIPES["CSSD"].to_json()))
    spot = data
    for step in path[:-1]:
        spot = spot[step]
    spot[path[-1]] = {"class": foreign}
    with pytest.raises(HearlessError, match=r"never an import path|may only name classes on the shelves"):
        recipe_from_json(data)
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize(
    ("path", "name", "said"),
    [
        (("dataset",), "classifiers/MobileNetV3", "dataset must be a class of datasets, got classifiers/MobileNetV3"),
        (("student", "capture"), "frontends/LogMel", "capture must be a class of captures, got frontends/LogMel"),
        (("stages", 0, "objectives", 0), "augmentations/Gain", "objectives must be a class of objectives"),
        (("augmentations", 0), "objectives/CrossEntropy", "augmentations must be a class of augmentations"),
    ],
)
def test_a_class_of_another_shelf_is_refused(path: tuple[Any, ...], name: str, said: str) -> None:
    data = json.loads(json.dumps(RECIPES["CSSD"].to_json()))
    spot = data
    for step in path[:-1]:
        spot = spot[step]
    spot[path[-1]] = {"class": name}
    with pytest.raises(HearlessError, match=said):
        recipe_from_json(data)


def test_a_recipe_of_a_newer_release_is_refused() -> None:
    with pytest.raises(HearlessError, match="unknown fields curve, zeal; a newer hearless wrote it"):
        recipe_from_json({**recipe().to_json(), "zeal": 1, "curve": 2})
    data = recipe().to_json()
    data["stages"][0]["momentum"] = 0.9
    with pytest.raises(HearlessError, match=r"damaged, or a newer hearless wrote it .*'momentum'"):
        recipe_from_json(data)


@pytest.mark.parametrize(
    "change",
    [
        {"dataset": None}, {"student": None}, {"student": {}}, {"student": 3}, {"stages": None}, {"stages": [3]},
        {"stages": [{}]}, {"teacher": "Trained"}, {"teacher": {}}, {"teacher": {"teacher": "Trained"}},
        {"teacher": {"teacher": "Trained", "recipe": 7}}, {"augmentations": 3}, {"augmentations": ["Gain"]},
        {"batch_size": "16"}, {"batch_size": 16.0}, {"clip_s": "2"}, {"validation": None}, {"select": None},
    ],
)  # fmt: skip
def test_a_damaged_recipe_is_an_error_of_ours(change: dict[str, Any]) -> None:
    with pytest.raises(HearlessError, match=r"damaged|recipe must hold|must be|must hold"):
        recipe_from_json({**recipe().to_json(), **change})


@pytest.mark.parametrize("field", ["dataset", "student", "stages"])
def test_a_recipe_without_its_core_is_damaged(field: str) -> None:
    data = {key: value for key, value in recipe().to_json().items() if key != field}
    with pytest.raises(HearlessError, match=f"recipe.json is damaged.*'{field}'"):
        recipe_from_json(data)


def test_no_teacher_is_none_and_an_unknown_one_an_error() -> None:
    assert teacher_from_json(None) is None
    with pytest.raises(
        HearlessError, match="teacher must be one of Pretrained, Trained, CrossFitted, Fused, got 'Eva'"
    ):
        teacher_from_json({"teacher": "Eva"})


def test_validation_that_is_trained_on_chooses_nothing() -> None:
    assert recipe(train_on_validation=True, select="last").digest != recipe(select="last").digest
    with pytest.raises(HearlessError, match="select must be last where validation is trained on"):
        recipe(train_on_validation=True)


@pytest.mark.parametrize("share", [0.0, -0.1, 1.01])
def test_a_training_share_must_lie_in_0_to_1(share: float) -> None:
    with pytest.raises(HearlessError, match=r"training_share must lie in 0\.\.1, 0 excluded, got"):
        recipe(training_share=share)


def test_an_objective_with_a_teacher_needs_one() -> None:
    with pytest.raises(HearlessError, match="teacher must be given for SelfDistillation"):
        recipe(stages=(HARD, SOFT))


def test_stored_logits_do_not_follow_mixed_clips() -> None:
    mixed = {"stages": (SOFT,), "teacher": Trained(UPPER), "augmentations": (spec(Roll), spec(Mixup))}
    assert recipe(**mixed).stored_draws == 0
    with pytest.raises(HearlessError, match="clip-level augmentation only, got Mixup; set stored_draws=0"):
        recipe(**mixed, stored_draws=2)


NEEDING = {
    "maps": spec(AttentionTransfer), "embedding": spec(ContrastiveRepresentation, hard_weight=0.0),
    "features": spec(Transcoding, logits=0.0, features=1.0),
}  # fmt: skip
GROUPS = (CrossFitted(UPPER), Fused((Trained(UPPER), Trained(UPPER, 1))), Fused((CrossFitted(UPPER),)))


@pytest.mark.parametrize("needs", [needs for needs in NEEDING if needs != "embedding"])
def test_logits_and_embedding_are_all_that_a_stored_teacher_says(needs: str) -> None:
    wanted = {
        "stages": (SOFT, replace(HARD, objectives=(spec(CrossEntropy), NEEDING[needs]))),
        "teacher": Trained(UPPER),
    }
    assert recipe(**wanted).stored_draws == 0
    said = (
        f"{NEEDING[needs].name} compares {needs}, and a stored teacher has logits and embedding only; "
        "give one teacher, with stored"
    )
    with pytest.raises(HearlessError, match=said):
        recipe(**wanted, stored_draws=2)
    plain = replace(HARD, objectives=(spec(Transcoding),))
    assert recipe(stages=(plain,), teacher=Trained(UPPER), stored_draws=2).stored_draws == 2


def test_one_teachers_embedding_can_be_stored_a_groups_cannot() -> None:
    stage = replace(HARD, objectives=(NEEDING["embedding"],))
    assert recipe(stages=(stage,), teacher=Trained(UPPER), stored_draws=2).stored_draws == 2
    with pytest.raises(HearlessError, match="compares embedding, and a stored teacher has logits only"):
        recipe(stages=(stage,), teacher=Fused((Trained(UPPER),)), stored_draws=2)


@pytest.mark.parametrize("teacher", GROUPS)
def test_several_teachers_have_no_common_maps_or_embedding(teacher: Any) -> None:
    """Their logits are averaged, what they saw is the same; a cross-fitted copy has trained on most clips."""
    for needs in ("maps", "embedding"):
        stage = replace(HARD, objectives=(NEEDING[needs],))
        with pytest.raises(
            HearlessError, match=f"compares {needs}, and a group of teachers has logits and features only"
        ):
            recipe(stages=(stage,), teacher=teacher)
        alone = Fused((Trained(UPPER),))
        assert recipe(stages=(stage,), teacher=alone).teacher == alone
    assert recipe(stages=(replace(HARD, objectives=(NEEDING["features"],)),), teacher=teacher).teacher == teacher
    assert recipe(stages=(SOFT,), teacher=teacher, stored_draws=2).stored_draws == 2


def test_stored_logits_need_not_follow_what_the_student_alone_hears() -> None:
    alone = {"augmentations": (spec(Roll), spec(FreqMixStyle)), "stages": (SOFT,), "teacher": Trained(UPPER)}
    assert recipe(**alone, stored_draws=2).stored_draws == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"classes": "audioset"}, "teacher must be given, with stored_draws=0, where audioset takes the place"),
        ({"classes": "birds"}, "labels must name a label set that comes with hearless, got 'birds'"),
        ({"stages": ()}, "stages must hold a stage, or none to judge initial weights"),
        ({"balance": "classes"}, "balance must be none, weights or sampling, got 'classes'"),
        ({"validation": 0.0}, "validation must lie between 0 and 1, got 0.0"),
        ({"validation": 1.0}, "validation must lie between 0 and 1"),
        ({"validation": float("nan")}, "validation must lie between 0 and 1"),
        ({"protocol": "loose"}, "protocol must be one of honest, paper, as_released, got 'loose'"),
        ({"batch_size": 1}, "batch_size must be at least 2, got 1"),
        ({"batch_size": 2.0}, "batch_size must be int, got 2.0"),
        ({"precision": "16-mixed"}, "precision must be 32-true or bf16-mixed"),
        ({"select": "best"}, "select must be last, max:… or min:…, got 'best'"),
        ({"select": "max:"}, "select must be last, max:… or min:…, got 'max:'"),
        ({"clip_s": 0.0}, "clip_s must be above 0 or None, got 0.0"),
        ({"clip_s": -1.0}, "clip_s must be above 0 or None"),
        ({"stored_draws": -1}, "stored_draws must be 0 or more, got -1"),
        ({"dataset": spec(Gain)}, "dataset must be a class of datasets, got augmentations/Gain"),
        ({"augmentations": (spec(LogMel),)}, "augmentations must be a class of augmentations, got frontends/LogMel"),
        ({"initial": CrossFitted(UPPER)}, "initial must be Pretrained, Trained or None, got 'CrossFitted'"),
        ({"stages": (replace(HARD, trains=("enhancer",)),)}, "trains must name a part that the student has"),
    ],
)
def test_out_of_range_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(HearlessError, match=said):
        recipe(**change)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"objectives": ()}, "objectives must hold at least one objective"),
        ({"objectives": (spec(Gain),)}, "objectives must be a class of objectives, got augmentations/Gain"),
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"epochs": 1.5}, "epochs must be int, got 1.5"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be above 0, got nan"),
        ({"learning_rate": "1e-3"}, "learning_rate must be float, got '1e-3'"),
        ({"schedule": "cosine"}, "schedule must be one of constant, one_cycle, step, got 'cosine'"),
        ({"betas": (0.9, 1.0)}, "betas must be two in 0..1"),
        ({"betas": (0.9,)}, "betas must be two in 0..1"),
        ({"weight_decay": -0.1}, "weight_decay must be 0 or more"),
        ({"optimizer": "sgd"}, "optimizer must be one of adam, adamw, got 'sgd'"),
        ({"decay": 0.0}, "decay must lie in 0..1, 0 excluded, got 0.0"),
        ({"decay_after": 0}, "decay_after must be at least 1, got 0"),
        ({"decay_every": 0}, "decay_every must be at least 1, got 0"),
        ({"trains": ()}, "trains must be among enhancer, classifier, head"),
        ({"trains": ("frontend",)}, r"trains must be among enhancer, classifier, head, got \('frontend',\)"),
    ],
)
def test_a_stage_out_of_range_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(HearlessError, match=said):
        replace(HARD, **change)


INT8 = replace(HARD, quantized="onnx")


def test_int8_is_part_of_what_a_recipe_is_and_float_leaves_no_trace() -> None:
    assert recipe(stages=(replace(HARD, quantized=""),)).digest == recipe().digest
    other = (replace(INT8, quantized="executorch"), replace(INT8, norms_until=0.5), replace(INT8, ranges_until=1.0))
    made = [recipe(stages=(stage,)) for stage in (HARD, INT8, *other)]
    assert len({one.digest for one in made}) == 5
    assert [one.quantized for one in made] == ["", "onnx", "executorch", "onnx", "onnx"]
    assert recipe_from_json(json.loads(json.dumps(made[3].to_json()))) == made[3]


def test_what_int8_cannot_follow_or_compare_is_refused() -> None:
    for name, value in (("quantized", "tflite"), ("norms_until", 1.2), ("ranges_until", -0.1)):
        with pytest.raises(HearlessError, match=f"{name} must "):
            replace(HARD, **{name: value})
    taught: dict[str, Any] = {"teacher": Trained(recipe())}
    for changes, match in (
        ({"stages": (INT8, HARD)}, "quantized must be set on the last stage only"),
        ({"stages": (replace(INT8, trains=("head",)),), "student": replace(LOW, head=HEAD)}, "trains must name the"),
        ({"stages": (INT8,), "precision": "bf16-mixed"}, "precision must be 32-true where a stage is quantized"),
        ({"stages": (replace(INT8, objectives=(spec(AttentionTransfer),)),), **taught}, "shows no inner maps"),
        ({"initial": Trained(recipe(stages=(INT8,)))}, "initial must be a float run"),
    ):
        with pytest.raises(HearlessError, match=match):
            recipe(**changes)
