"""Table 2 of paper 003: how far what is heard from levels agrees with what is heard from the sound.

Ours beside the paper's rows: the light transcoder, and CNN-mix, the CNN trained on scores and Mel.  Published are
PtoPa-FC, "agreement" here.
"""

from __future__ import annotations

from collections.abc import Sequence

from hearless.evaluate import TRAINING_TIME
from hearless.recipe import Recipe
from hearless.recipes._shared import no_rates, published_rows
from hearless.recipes.spectral_transcoder import (
    _released,
    cnn_logits,
    cnn_mels,
    efficientnet,
    light,
    pinv,
    retrained,
)
from hearless.recipes.spectral_transcoder.settings import TARGETS, Settings
from hearless.study import Row, Study

BACKBONES = ("resnet38", "yamnet")

PUBLISHED = {
    "PINV": "PINV", "CNN-mels": "CNN-mels", "CNN-logits": "CNN-logits", "classifier retrained": "{}-1/3oct",
    "EfficientNet-B0": "Effnet-b0", "EfficientNet-B7": "Effnet-b7",
}  # fmt: skip
"""The paper's names of our rows."""


def published(row: str, backbone: str) -> dict[str, float]:
    """Return the paper's PtoPa-FC of a row, of YAMNet where that is the backbone, else of PANN ResNet38."""
    found = [round(float(line["ptopa_fc_percent"]) / 100, 6) for line in _lines(row, backbone)]
    return dict.fromkeys([f"paper 003, {network_of(backbone)} on TAU 2020"], found[0]) if found else {}


def published_more(row: str, backbone: str) -> dict[str, float]:
    """Return what else the paper prints of a row: KL, seconds of training, and of the same features the Mel error."""
    columns = {"kl": "kl_logits", TRAINING_TIME: "training_time_s"}
    columns |= {"mel_mse": "mse_mels"} if TARGETS[backbone] in ("pann", "yamnet") else {}
    return {name: float(line[of]) for line in _lines(row, backbone) for name, of in columns.items() if line[of]}


def _lines(row: str, backbone: str) -> list[dict[str, str]]:
    """Return the line of the paper's table, none for our own rows."""
    network = network_of(backbone)
    model = PUBLISHED.get(row, "").format(network)
    return published_rows("spectral_transcoder", "paper_003_table2", classifier=network, model=model)


def network_of(backbone: str) -> str:
    """Return the paper's classifier whose numbers stand beside ours: YAMNet, else PANN ResNet38."""
    return "YAMNet" if backbone == "yamnet" else "PANN"


def recipes(settings: Settings) -> dict[str, Recipe]:
    """Return the table's rows by label."""
    return {
        "PINV": pinv.recipe(settings), "CNN-mels": cnn_mels.recipe(settings), "CNN-logits": cnn_logits.recipe(settings),
        "CNN-mix": cnn_logits.recipe(settings, mixed=True), "light": light.recipe(settings),
        "classifier retrained": retrained.recipe(settings), "EfficientNet-B0": efficientnet.recipe(settings),
        "EfficientNet-B7": efficientnet.recipe(settings, "b7"),
    }  # fmt: skip


def study(
    each: Sequence[Settings], *, rates: Sequence[int] = (), folds: tuple[str, ...] = (), seeds: tuple[int, ...] = (0,),
    task: str = "",
) -> Study:  # fmt: skip
    """Return a block of rows for each frozen classifier."""
    no_rates(rates)
    made: list[Row] = []
    pairs: list[tuple[str, str]] = []
    for settings in each:
        suffix = f", {settings.backbone.name}" if len(each) > 1 else ""
        of_label = recipes(settings)
        for label in settings.wanted(of_label):
            condition = {"classifier": settings.backbone.name, "levels": settings.interval}
            sources, more = (read(label, settings.backbone.name) for read in (published, published_more))
            made.append(Row(
                label + suffix, condition, (of_label[label],), published=sources, published_more=more,
                seeds=settings.seeds_of(label, of_label, seeds),
            ))  # fmt: skip
        known = {row.label for row in made}
        wanted = (
            ("CNN-logits", "PINV"), ("CNN-logits", "CNN-mels"), ("CNN-mix", "CNN-logits"), ("light", "PINV"),
            ("light", "CNN-logits"),
        )  # fmt: skip
        pairs += [(a + suffix, b + suffix) for a, b in wanted if {a + suffix, b + suffix} <= known]
    return Study(
        name="spectral_transcoder/table2", title="What levels tell a classifier that was trained on sound", task=task,
        rows=tuple(made), seeds=seeds, folds=folds, compare=tuple(pairs), training_time=True,
        notes=(
            "Agreement is the paper's PtoPa-FC; KL is divided by the number of classes, as its code does.",
            *(note for settings in each for note in _released.notes(settings, heads=False)),
        ),
    )  # fmt: skip
