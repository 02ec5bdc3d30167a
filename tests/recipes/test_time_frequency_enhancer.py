"""Paper 002's recipes and studies: Table I, who hears what, the paper's numbers."""

from __future__ import annotations

import csv
import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hearless.captures.full_band import FullBand
from hearless.datasets.csv_labels import CsvLabels
from hearless.interfaces import HearlessError
from hearless.recipes.low_rate import cssd
from hearless.recipes.low_rate import settings as low_rate_settings
from hearless.recipes.time_frequency_enhancer import low_rate, student, table2, table3, table4, teacher
from hearless.recipes.time_frequency_enhancer.settings import Settings, from_words
from hearless.spec import spec
from hearless.study import Study
from hearless.teachers import Pretrained, Trained

TABLE = spec(CsvLabels, table="meta.csv")


def made(like: str = "esc50", **words: Any) -> Settings:
    return from_words(TABLE, like=like, **{"teacher": "mn04", **words})


def test_table_1_is_the_papers(shared: Path) -> None:
    with (shared / "papers" / "tables" / "002_table1_training.csv").open() as file:
        printed = {row["setting"]: row for row in csv.DictReader(file)}
    for like in ("esc50", "speech_commands_v2"):
        settings, said = made(like), {name: row[like] for name, row in printed.items()}
        assert (settings.frames, settings.batch_size, settings.epochs) == tuple(
            int(said[name]) for name in ("spectrogram_frames", "batch_size", "epochs")
        )
        assert (settings.learning_rate, settings.mixup, settings.label_smoothing, settings.alpha) == tuple(
            float(said[name]) for name in ("initial_lr", "mixup_ratio", "label_smoothing", "kd_lambda")
        )
        assert (settings.hard, settings.temperature) == (said["ground_truth_loss"], float(said["kd_tau_teacher_only"]))
        assert round(settings.mask_time_s * 100) == int(said["specaugment_time_max"])
        assert settings.mask_bands * 128 == int(said["specaugment_freq_max"])
        assert f"U(0,{settings.noise})" == said["random_noise"]
        assert f"+-{settings.roll_s * 100:g}" == said["random_time_shift_frames"]
        assert settings.decay_every == {"every 5 epochs": 5, "every epoch after first 5": 1}[said["lr_decay_rule"]]
        (stage,) = student.recipe(settings).stages
        assert (stage.decay, stage.decay_after, stage.optimizer, stage.betas) == (0.85, 5, "adam", (0.95, 0.999))


def test_teacher_and_student_hear_the_same_augmented_clip() -> None:
    recipe = student.recipe(made("speech_commands_v2"), 2)
    names = [a.name for a in recipe.augmentations]
    assert names == ["Mixup", "TimeFrequencyMask", "SpectrogramNoise", "TimeRoll"]
    assert {a.build().hearers for a in recipe.augmentations} == {"both"}
    assert recipe.stored_draws == 0
    assert recipe.student.capture == spec(FullBand, rate_hz=16000)
    assert recipe.student.enhancer is not None
    assert recipe.student.enhancer.arguments["n_blocks"] == 2
    assert recipe.teacher == Trained(teacher.recipe(made("speech_commands_v2")))


def test_the_esc50_teacher_trains_with_masks_alone() -> None:
    assert [a.name for a in teacher.recipe(made()).augmentations] == ["TimeFrequencyMask"]
    assert len(teacher.recipe(made("speech_commands_v2")).augmentations) == 4
    (stage,) = teacher.recipe(made()).stages
    assert (stage.schedule, stage.learning_rate, stage.epochs) == ("one_cycle", 1e-3, 15)


def test_one_teacher_serves_every_student() -> None:
    teachers = {student.recipe(made(), n).teacher for n in (0, 1, 2, 4)}
    assert len(teachers) == 1
    assert student.recipe(made(), 4, taught=False).teacher is None


def test_without_distillation_the_loss_is_the_hard_one_with_its_smoothing() -> None:
    (hard,) = student.recipe(made(), taught=False).stages[0].objectives
    (both,) = student.recipe(made()).stages[0].objectives
    assert (hard.name, hard.arguments) == ("CrossEntropy", {"label_smoothing": 0.1})
    assert both.arguments == {"alpha": 0.5, "temperature": 5.0, "hard": "cross_entropy", "label_smoothing": 0.1}
    (speech,) = student.recipe(made("speech_commands_v2")).stages[0].objectives
    assert (speech.arguments["hard"], speech.arguments["label_smoothing"]) == ("binary_cross_entropy", 0.0)


def test_several_labels_take_sigmoids() -> None:
    recipe = student.recipe(made(multi_label=True))
    assert (recipe.select, recipe.stages[0].objectives[0].arguments["hard"]) == ("max:mAP", "binary_cross_entropy")
    assert student.recipe(made(multi_label=True), taught=False).stages[0].objectives[0].name == "BinaryCrossEntropy"


def test_the_student_starts_from_weights_of_images() -> None:
    assert student.recipe(made()).initial == Pretrained(
        "efficientnetv2_b2_imagenet", "847de54eb133fad3ab1230ff637ed242aefe9fd2da197d041e6753d9ec5a80bd"
    )
    assert student.recipe(made(weights="none", backbone="efficientnetv2_b0")).initial is None
    with pytest.raises(HearlessError, match=r"efficientnetv2_b0 has no published weights here; give --weights FILE"):
        made(backbone="efficientnetv2_b0")


def test_ast_starts_from_audioset_or_from_images() -> None:
    esc50, speech = (teacher.recipe(made(like, teacher="ast")) for like in ("esc50", "speech_commands_v2"))
    assert (esc50.initial, speech.initial) == (Pretrained("ast"), Pretrained("ast_imagenet"))
    assert (esc50.stages[0].epochs, esc50.stages[0].learning_rate) == (5, 1e-5)
    assert (speech.stages[0].epochs, speech.stages[0].learning_rate) == (5, 2.5e-4)
    assert esc50.student.frontend == student.recipe(made()).student.frontend  # teacher and student: one view
    assert (esc50.student.classifier.arguments["frames"], speech.student.classifier.arguments["frames"]) == (512, 128)
    lean = teacher.recipe(made(teacher="ast", gradient_checkpointing=True)).student.classifier
    assert lean.arguments["gradient_checkpointing"] is True


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"like": "fsd50k"}, "like must be one of esc50, speech_commands_v2, got 'fsd50k'"),
        ({"teacher_weights": "nowhere.pt"}, "weights must be a file"),
        ({"epoch": 1}, r"settings are multi_label, .*, paper, like, teacher, teacher_weights; got epoch\."),
        ({"backbone": "vgg"}, "backbone must be one of"),
    ],
)
def test_unknown_words_are_refused(words: dict[str, Any], said: str) -> None:
    with pytest.raises(HearlessError, match=said):
        made(**words)


TABLES: dict[Any, list[tuple[str, float]]] = {
    table2: [("TFE(1)", 0.8942), ("TFE(2)", 0.8923), ("TFE(4)", 0.8967)],
    table3: [("teacher", 0.9585), ("no enhancer", 0.8863), ("TFE(4)", 0.8967)],
    table4: [
        ("teacher", 0.9585), ("no enhancer, without CMKD", 0.8674), ("TFE(4), without CMKD", 0.8713),
        ("no enhancer, with CMKD", 0.8863), ("TFE(4), with CMKD", 0.8967),
    ],
}  # fmt: skip


@pytest.mark.parametrize("module", TABLES)
def test_tables_have_the_papers_rows_and_numbers(module: Any) -> None:
    study: Study = module.study([made()])
    assert [(row.label, next(iter(row.published.values()))) for row in study.rows] == TABLES[module]
    speech: Study = module.study([made("speech_commands_v2")])
    assert all("whole Speech Commands V2" in source for row in speech.rows for source in row.published)
    with pytest.raises(HearlessError, match="one backbone at a time, got 2"):
        module.study([made(), made()])
    with pytest.raises(HearlessError, match=r"hears 16 kHz alone, got rates \[1000\]"):
        module.study([made()], rates=(1000,))


def test_the_enhancer_stands_in_front_of_the_low_rate_student() -> None:
    settings = low_rate_settings.from_words(TABLE, backbone="mn02")
    study = low_rate.study([settings], seeds=(0, 1, 2))
    rows = {row.label: row for row in study.rows}
    assert rows["no enhancer, 1 kHz"].options[0] == cssd.recipe(replace(settings, alpha=0.1, temperature=2), 1000)
    assert (rows["TFE(4), 1 kHz"].seeds, rows["TFE(4), 16 kHz"].seeds) == (None, (0,))
    assert {row.judges for row in study.rows} == {rows["no enhancer, 1 kHz"].options}
    for n_blocks, (label, how) in itertools.product((1, 2, 4), {"": "torch", " signal": "signal"}.items()):
        options = rows[f"TFE({n_blocks}){label}, 1 kHz"].options
        enhancers = [option.student.enhancer for option in options]
        assert {made.arguments["n_blocks"] for made in enhancers if made} == {n_blocks}
        assert {made.arguments["initialisation"] for made in enhancers if made} == {how}
        assert {option.teacher for option in options} == {rows["no enhancer, 16 kHz"].options[0].teacher}
    assert len({option.name for row in study.rows for option in row.options}) == len(study.rows) * len(
        study.rows[0].options
    )
    assert ("TFE(4) signal, 1 kHz", "no enhancer, 1 kHz") in study.compare
    with pytest.raises(HearlessError, match="one backbone at a time, got 2"):
        low_rate.study([settings, settings])


DIGESTS = {
    (0, True): "f0d7a585df99", (1, True): "e903825143fa", (2, True): "ae0c91c6c996", (4, True): "3a32a8412478",
    (0, False): "d8ba2e63cb69", (4, False): "43a7ca6d67e2",
}  # fmt: skip
"""Names of the runs of the reduced tables: they must be found again, not trained again."""


@pytest.mark.parametrize(("n_blocks", "taught"), DIGESTS)
def test_the_runs_of_the_reduced_tables_keep_their_names(n_blocks: int, taught: bool) -> None:
    settings = made(
        "speech_commands_v2", backbone="efficientnetv2_b0", weights="none", width=0.5, epochs=15, batch_size=16,
        schedule="one_cycle", learning_rate=2e-3, mask_time_s=0.0, mask_bands=0.0,
    )  # fmt: skip
    assert student.recipe(settings, n_blocks, taught=taught).digest == DIGESTS[n_blocks, taught]
    assert teacher.recipe(settings).digest == "9cad08268ed5"
