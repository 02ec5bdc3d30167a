"""Folds and splits in which no source recording is on two sides.

A clip's recording is `Clip.group`.  Whatever is drawn here keeps recordings together, spreads the labels as
evenly as recordings allow, and depends on the seed and on the clips' ids, recordings and labels, never on
their order.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hearless.interfaces import Clip, HearlessError
from hearless.plural import plural

SPLIT = "split"
"""The only fold of a data set that comes in train, validation and test splits."""

SPLIT_WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid", "dev", "development"),
    "test": ("test", "testing", "eval", "evaluation"),
}

Counts = NDArray[np.float64]


class Parts(NamedTuple):
    """The sides of one fold; ``validation`` holds only what the data set itself set apart."""

    train: list[Clip]
    test: list[Clip]
    validation: list[Clip]


def split_name(word: str) -> str | None:
    """Return ``train``, ``validation`` or ``test`` for a table's word (``Training``, ``val``, ``eval``), or None."""
    squeezed = word.strip().lower()
    return next((name for name, words in SPLIT_WORDS.items() if squeezed in words), None)


def natural(word: str) -> list[tuple[bool, int, str]]:
    """Return a sorting key that puts ``fold10`` behind ``fold2`` and numbers first."""
    pieces: list[str] = re.findall(r"\d+|\D+", word)
    return [(not p.isdecimal(), int(p) if p.isdecimal() else 0, p) for p in pieces]


def folds(clips: Sequence[Clip]) -> tuple[str, ...]:
    """Return the names of the folds in natural order; ``("split",)`` for clips that come in splits.

    Raises:
        HearlessError: some clips have no fold and no split, or clips of both kinds are mixed.
    """
    named = {clip.fold for clip in clips if clip.fold is not None}
    n_fold = sum(clip.fold is not None for clip in clips)
    n_split = sum(clip.fold is None and clip.split is not None for clip in clips)
    if not clips or max(n_fold, n_split) != len(clips):
        raise HearlessError(
            f"clips must all have a fold, or all a split; of {plural(len(clips), 'clip')} {n_fold} have a fold "
            f"and {n_split} a split only. Mend the table, or draw folds with draw_folds."
        )
    return tuple(sorted(named, key=natural)) if named else (SPLIT,)


def check_leaks(clips: Iterable[Clip]) -> None:
    """Refuse clips of which a source recording is in two folds or two splits.

    Raises:
        HearlessError: names the recordings (the first five) and where they are.
    """
    places: defaultdict[str, set[str]] = defaultdict(set)
    for clip in clips:
        places[clip.group].add(str(clip.fold if clip.fold is not None else clip.split))
    leaks = sorted((group, sorted(where, key=natural)) for group, where in places.items() if len(where) > 1)
    if leaks:
        shown = "; ".join(f"{group} in {', '.join(where)}" for group, where in leaks[:5])
        raise HearlessError(
            f"leak: a source recording must stay in one fold or split, but {len(leaks)} of {len(places)} do not: "
            f"{shown}{' …' if len(leaks) > 5 else ''}. Draw folds by recording, or mend the recording column."
        )


def parts(clips: Sequence[Clip], fold: str) -> Parts:
    """Return the sides of a fold: it is the test part, the others train.  ``"split"`` takes the clips' splits.

    Raises:
        HearlessError: an unknown fold, a leak, an empty side, one class only, or a class that is tested but not
            trained.
    """
    known = folds(clips)
    if fold not in known:
        raise HearlessError(f"fold must be one of {', '.join(known)}, got {fold!r}.")
    check_leaks(clips)
    if fold == SPLIT and known == (SPLIT,) and clips[0].fold is None:
        sides = Parts(*([c for c in clips if c.split == name] for name in ("train", "test", "validation")))
    else:
        sides = Parts([c for c in clips if c.fold != fold], [c for c in clips if c.fold == fold], [])
    _require_sides(sides, fold)
    return sides


def hold_out(clips: Sequence[Clip], fraction: float, seed: int) -> tuple[list[Clip], list[Clip]]:
    """Hold out about ``fraction`` of the clips: whole recordings, every label alike, no label held out whole.

    Returns:
        The training and the validation clips, each in the order given.

    Raises:
        HearlessError: a fraction outside (0, 1), one class only, or too few recordings to hold one out.
    """
    if not 0 < fraction < 1:
        raise HearlessError(f"fraction must lie between 0 and 1, got {fraction!r}.")
    _require_classes(clips)
    groups, counts = _counts(clips, seed)
    held = {group for group, chosen in zip(groups, _chosen(counts, fraction), strict=True) if chosen}
    if not held:
        raise HearlessError(
            f"fraction {fraction} of {plural(len(clips), 'clip')} of {plural(len(groups), 'recording')} holds out none "
            "without taking a label's last recording; give more recordings a label, or a larger fraction."
        )
    return [clip for clip in clips if clip.group not in held], [clip for clip in clips if clip.group in held]


def share(clips: Sequence[Clip], fraction: float) -> list[Clip]:
    """Return about ``fraction`` of the clips in the order given: whole recordings, every label alike.

    Each recording stands with its rarest label; the order within a label comes from the recordings' names alone, so
    that a smaller share lies within a larger one whatever the seed.  The first recording of each label always stays.

    Raises:
        HearlessError: a fraction outside (0, 1].
    """
    if not 0 < fraction <= 1:
        raise HearlessError(f"fraction must lie in 0..1, 0 excluded, got {fraction!r}.")
    n_clips = Counter(clip.group for clip in clips)
    kept: set[str] = set()
    for groups in _by_rarest_label(clips).values():
        wanted, before = fraction * sum(n_clips[group] for group in groups), 0
        for group in sorted(groups, key=lambda name: hashlib.sha256(name.encode()).digest()):
            if before == 0 or before + n_clips[group] / 2 <= wanted:
                kept.add(group)
            before += n_clips[group]
    return [clip for clip in clips if clip.group in kept]


def _by_rarest_label(clips: Sequence[Clip]) -> dict[str, set[str]]:
    """Return the recordings by the label that fewest clips have among their own; those without labels by ``""``."""
    n_clips = Counter(label for clip in clips for label in clip.labels)
    rarest: dict[str, str] = {}
    for clip in clips:
        own = [label for label in (rarest.get(clip.group, ""), *clip.labels) if label]
        rarest[clip.group] = min(own, key=lambda label: (n_clips[label], label), default="")
    groups: defaultdict[str, set[str]] = defaultdict(set)
    for group, label in rarest.items():
        groups[label].add(group)
    return groups


def draw_folds(clips: Sequence[Clip], n: int, seed: int) -> list[Clip]:
    """Return the clips in the order given, with folds ``"1"`` … ``"n"`` drawn by recording, every label alike.

    Raises:
        HearlessError: fewer than two folds, fewer recordings than folds, or one class only.
    """
    _require_classes(clips)
    groups, counts = _counts(clips, seed)
    if not 2 <= n <= len(groups):
        raise HearlessError(
            f"folds must number from 2 to the {len(groups)} source recordings, got {n}; "
            "ask for fewer folds or add recordings."
        )
    fold_of = dict(zip(groups, _dealt(counts, n), strict=True))
    return [replace(clip, fold=str(fold_of[clip.group] + 1), split=None) for clip in clips]


def _counts(clips: Sequence[Clip], seed: int) -> tuple[list[str], Counts]:
    """Return the recordings in a seeded order and how many clips of each label they hold.

    The counts are ``[recording, label + 1]``, as shares of each label's clips; the last column counts clips.
    """
    labels = sorted({label for clip in clips for label in clip.labels})
    column = {label: index for index, label in enumerate(labels)}
    groups = sorted({clip.group for clip in clips})
    groups = [groups[i] for i in np.random.default_rng(seed).permutation(len(groups))]
    row = {group: index for index, group in enumerate(groups)}
    counts = np.zeros((len(groups), len(labels) + 1))
    for clip in clips:
        counts[row[clip.group], [column[label] for label in clip.labels] + [len(labels)]] += 1
    return groups, counts / counts.sum(axis=0)


def _chosen(counts: Counts, fraction: float) -> NDArray[np.bool_]:
    """Choose recordings ``[recording]`` that bring every label's share near ``fraction`` and never to 1."""
    chosen = np.zeros(len(counts), dtype=bool)
    share = np.zeros(counts.shape[1])
    for index, own in enumerate(counts):
        nearer = np.sum((share + own - fraction) ** 2) < np.sum((share - fraction) ** 2) - 1e-12
        if nearer and np.all(share + own < 1 - 1e-9):
            chosen[index] = True
            share += own
    return chosen


def _dealt(counts: Counts, n: int) -> list[int]:
    """Deal recordings ``[recording, label]`` to ``n`` folds, the largest first, each where its labels are fewest."""
    dealt = [0] * len(counts)
    share = np.zeros((n, counts.shape[1]))
    for index in np.argsort(-counts.sum(axis=1), kind="stable"):
        need = share @ counts[index]
        fold = min(range(n), key=lambda f: (round(float(need[f]), 12), float(share[f].sum()), f))
        dealt[index] = fold
        share[fold] += counts[index]
    return dealt


def _require_classes(clips: Sequence[Clip]) -> None:
    """Refuse clips that all bear the same labels."""
    kinds = {clip.labels for clip in clips}
    if len(kinds) < 2:
        only = ", ".join(next(iter(kinds), ())) or "none"
        raise HearlessError(
            f"labels must name at least two classes, got one only ({only}); add clips of another class."
        )


def _require_sides(sides: Parts, fold: str) -> None:
    """Refuse an empty side, one class only, and a class that is tested or validated but never trained."""
    for name, side in (("training", sides.train), ("test", sides.test)):
        if not side:
            raise HearlessError(
                f"fold {fold}: the {name} part must hold clips, got none; mend the fold or split column."
            )
    _require_classes([*sides.train, *sides.test])
    trained = {label for clip in sides.train for label in clip.labels}
    absent = sorted({label for clip in (*sides.test, *sides.validation) for label in clip.labels} - trained)
    if absent:
        raise HearlessError(
            f"fold {fold}: every tested class must be in the training part, but {', '.join(absent)} "
            f"{'is' if len(absent) == 1 else 'are'} not; add recordings of it, use fewer folds, or leave the class out."
        )
