"""Table 2 of paper 003: how far what is heard from levels agrees with what is heard from the sound.

Ours beside the paper's rows: the light transcoder.  Published are PtoPa-FC, "agreement" here.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from importlib.resources import files

from hearless.recipe import Recipe
from hearless.recipes.spectral_transcoder import cnn_logits, cnn_mels, efficientnet, light, pinv, retrained
from hearless.recipes.spectral_transcoder.settings import Settings
from hearless.study import Row, Study

BACKBONES = ("resnet38", "yamnet")

PUBLISHED = {
    "PINV": "PINV", "CNN-mels": "CNN-mels", "CNN-logits": "CNN-logits", "classifier retrained": "{}-1/3oct",
    "EfficientNet-B0": "Effnet-b0", "EfficientNet-B7": "Effnet-b7",
}  # fmt: skip
"""The paper's names of our rows."""


def published(row: str, backbone: str) -> dict[str, float]:
    """Return the paper's PtoPa-FC of a row, of YAMNet where that is the backbone, else of PANN ResNet38."""
    network = "YAMNet" if backbone == "yamnet" else "PANN"
    text = (files("hearless.recipes") / "spectral_transcoder" / "paper_003_table2.csv").read_text()
    wanted = (network, PUBLISHED.get(row, "").format(network))
    found = [line for line in csv.DictReader(text.splitlines()) if (line["classifier"], line["model"]) == wanted]
    return {f"paper 003, {network} on TAU 2020": round(float(line["ptopa_fc_percent"]) / 100, 6) for line in found}


def recipes(settings: Settings) -> dict[str, Recipe]:
    """Return the table's rows by label."""
    return {
        "PINV": pinv.recipe(settings), "CNN-mels": cnn_mels.recipe(settings), "CNN-logits": cnn_logits.recipe(settings),
        "light": light.recipe(settings), "classifier retrained": retrained.recipe(settings),
        "EfficientNet-B0": efficientnet.recipe(settings), "EfficientNet-B7": efficientnet.recipe(settings, "b7"),
    }  # fmt: skip


def study(
    each: Sequence[Settings], *, rates: Sequence[int] = (), folds: tuple[str, ...] = (), seeds: tuple[int, ...] = (0,),
    task: str = "",
) -> Study:  # fmt: skip
    """Return a block of rows for each frozen classifier."""
    made: list[Row] = []
    pairs: list[tuple[str, str]] = []
    for settings in each:
        suffix = f", {settings.backbone.name}" if len(each) > 1 else ""
        of_label = recipes(settings)
        for label in settings.wanted(of_label):
            condition = {"classifier": settings.backbone.name, "levels": settings.interval}
            sources = published(label, settings.backbone.name)
            made.append(Row(label + suffix, condition, (of_label[label],), published=sources))
        known = {row.label for row in made}
        wanted = (("CNN-logits", "PINV"), ("CNN-logits", "CNN-mels"), ("light", "CNN-logits"))
        pairs += [(a + suffix, b + suffix) for a, b in wanted if {a + suffix, b + suffix} <= known]
    return Study(
        name="spectral_transcoder/table2", title="What levels tell a classifier that was trained on sound", task=task,
        rows=tuple(made), seeds=seeds, folds=folds, compare=tuple(pairs),
        notes=("Agreement is the paper's PtoPa-FC; KL is divided by the number of classes, as its code does.",),
    )  # fmt: skip
