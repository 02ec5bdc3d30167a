"""Table 3 of paper 003: classes of a data set from a frozen classifier's scores, of the sound and of its levels.

Each row trains a head (`head`).  The transcoder behind it is trained on the same fold's training clips.  Where the
classifier's own classes are mapped to the data set's by hand, each row stands a second time with them in the head's
place: the paper's other baseline, which it says did worse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hearless.recipe import Recipe
from hearless.recipes._shared import no_rates, published_rows
from hearless.recipes.spectral_transcoder import _released, head, table2
from hearless.recipes.spectral_transcoder.settings import Settings
from hearless.study import Row, Study

BACKBONES = table2.BACKBONES
BY_HAND = "classes by hand"


def published(heard: str, backbone: str) -> dict[str, float]:
    """Return the paper's accuracy on UrbanSound8K, of YAMNet where that is the backbone, else of PANN ResNet38."""
    found = [round(float(line["urbansound8k_accuracy_percent"]) / 100, 6) for line in _lines(heard, backbone)]
    source = f"paper 003, {table2.network_of(backbone)} on UrbanSound8K"
    return dict.fromkeys([source], found[0]) if found else {}


def published_more(heard: str, backbone: str) -> dict[str, float]:
    """Return the paper's macro AUPRC on SONYC-UST."""
    found = [float(line["sonyc_ust_macro_auprc"]) for line in _lines(heard, backbone)]
    return {"mAP": found[0]} if found else {}


def _lines(heard: str, backbone: str) -> list[dict[str, str]]:
    """Return the line of the paper's table: "mel" or "transcoded"."""
    network = table2.network_of(backbone)
    return published_rows("spectral_transcoder", "paper_003_table3", input=heard, classifier=network)


def study(
    each: Sequence[Settings], *, rates: Sequence[int] = (), folds: tuple[str, ...] = (), seeds: tuple[int, ...] = (0,),
    task: str = "",
) -> Study:  # fmt: skip
    """Return a block of rows for each frozen classifier: the sound, then each transcoder."""
    no_rates(rates)
    made: list[Row] = []
    pairs: list[tuple[str, str]] = []
    for settings in each:
        suffix = f", {settings.backbone.name}" if len(each) > 1 else ""
        rows = _rows(settings, suffix, seeds)
        made += rows
        known = {row.label for row in rows}
        last = [row.label for row in rows if row.condition["head"] == "trained"][-1]
        wanted = [("CNN-logits", "PINV"), ("light", "CNN-logits"), ("sound", last.removesuffix(suffix))]
        wanted += [(label, f"{label}, {BY_HAND}") for label in ("sound", "CNN-logits", "light")]
        pairs += [(a + suffix, b + suffix) for a, b in wanted if {a + suffix, b + suffix} <= known]
    return Study(
        name="spectral_transcoder/table3", title="Sources of a data set, from sound and from levels", task=task,
        rows=tuple(made), seeds=seeds, folds=folds, compare=tuple(pairs), training_time=True,
        notes=("Training time is the head's alone; the transcoder's stands in table 2.", *_notes(each)),
    )  # fmt: skip


def _rows(settings: Settings, suffix: str, seeds: tuple[int, ...]) -> list[Row]:
    """Return a classifier's rows: with a trained head, then with classes gathered by hand where they are mapped."""
    transcoders: dict[str, Recipe | None] = {"sound": None}
    known = table2.recipes(settings.of_transcoders)
    asked = settings.wanted(("PINV", "CNN-mels", "CNN-logits", "CNN-mix", "light"))
    transcoders |= {label: known[label] for label in asked}
    rows = {label: [_row(settings, label, suffix, head.recipe(settings, of))] for label, of in transcoders.items()}
    for label, of in transcoders.items() if settings.mapping else ():
        rows[label].append(_by_hand(settings, label, suffix, head.by_hand(settings, of)))
    made = [
        replace(row, seeds=settings.seeds_of(label, (*transcoders, *known), seeds))
        for label, of_label in rows.items() for row in of_label
    ]  # fmt: skip
    return sorted(made, key=lambda row: row.condition["head"] == "by hand")


def _row(settings: Settings, label: str, suffix: str, recipe: Recipe) -> Row:
    heard = {"sound": "mel", "CNN-logits": "transcoded"}.get(label, "")
    backbone = settings.backbone.name
    numbers = {} if settings.multi_label else published(heard, backbone)
    more = published_more(heard, backbone) if settings.multi_label else {}
    return Row(
        label + suffix, _condition(settings, label, "trained"), (recipe,), published=numbers, published_more=more
    )


def _by_hand(settings: Settings, label: str, suffix: str, recipe: Recipe) -> Row:
    return Row(f"{label}, {BY_HAND}{suffix}", _condition(settings, label, "by hand"), (recipe,))


def _condition(settings: Settings, label: str, made: str) -> dict[str, str]:
    return {"classifier": settings.backbone.name, "hears": "sound" if label == "sound" else "levels", "head": made}


def _notes(each: Sequence[Settings]) -> tuple[str, ...]:
    """Say what the paper's number of several labels is, and what by hand means."""
    notes = []
    if any(settings.multi_label for settings in each):
        notes.append("The paper's mAP is its macro AUPRC on SONYC-UST v2.3 (by trapezoids; ours is average precision).")
    if any(settings.mapping for settings in each):
        notes.append(f"{BY_HAND.capitalize()}: a class scores as the likeliest of the classifier's mapped to it.")
    return (*notes, *(note for settings in each for note in _released.notes(settings, heads=True)))
