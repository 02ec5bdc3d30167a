"""Table 3 of paper 003: classes of a data set from a frozen classifier's scores, of the sound and of its levels.

Each row trains a head (`head`).  The transcoder behind it is trained on the same fold's training clips.  Aggregation of
the classifier's own classes by hand, the paper's other baseline, needs a map from its classes to the data set's.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from importlib.resources import files

from hearless.recipes.spectral_transcoder import head, table2
from hearless.recipes.spectral_transcoder.settings import Settings
from hearless.study import Row, Study

BACKBONES = table2.BACKBONES


def published(heard: str, backbone: str) -> dict[str, float]:
    """Return the paper's accuracy on UrbanSound8K, of YAMNet where that is the backbone, else of PANN ResNet38."""
    network = "YAMNet" if backbone == "yamnet" else "PANN"
    text = (files("hearless.recipes") / "spectral_transcoder" / "paper_003_table3.csv").read_text()
    return {
        f"paper 003, {network} on UrbanSound8K": round(float(line["urbansound8k_accuracy_percent"]) / 100, 6)
        for line in csv.DictReader(text.splitlines())
        if (line["input"], line["classifier"]) == (heard, network)
    }


def study(
    each: Sequence[Settings], *, rates: Sequence[int] = (), folds: tuple[str, ...] = (), seeds: tuple[int, ...] = (0,),
    task: str = "",
) -> Study:  # fmt: skip
    """Return a block of rows for each frozen classifier: the sound, then each transcoder."""
    made: list[Row] = []
    pairs: list[tuple[str, str]] = []
    for settings in each:
        suffix = f", {settings.backbone.name}" if len(each) > 1 else ""
        condition = {"classifier": settings.backbone.name, "hears": "sound"}
        upper = f"sound{suffix}"
        sources = published("mel", settings.backbone.name)
        made.append(Row(upper, condition, (head.recipe(settings),), published=sources))
        transcoders = table2.recipes(settings.of_transcoders)
        wanted = settings.wanted(("PINV", "CNN-mels", "CNN-logits", "light"))
        for label in wanted:
            sources = published("transcoded", settings.backbone.name) if label == "CNN-logits" else {}
            recipe = head.recipe(settings, transcoders[label])
            made.append(Row(label + suffix, {**condition, "hears": "levels"}, (recipe,), published=sources))
        known = {row.label for row in made}
        each_pair = (("CNN-logits", "PINV"), ("light", "CNN-logits"), ("sound", wanted[-1]))
        pairs += [(a + suffix, b + suffix) for a, b in each_pair if {a + suffix, b + suffix} <= known]
    return Study(
        name="spectral_transcoder/table3", title="Sources of a data set, from sound and from levels", task=task,
        rows=tuple(made), seeds=seeds, folds=folds, compare=tuple(pairs),
    )  # fmt: skip
