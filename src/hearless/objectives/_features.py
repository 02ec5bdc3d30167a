"""What objectives on embeddings and inner maps share: which are compared, at which size, and their checks."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor
from torch.nn import functional as F

from hearless.interfaces import HearlessError, Prediction
from hearless.objectives._terms import given


def check_embeddings(name: str, student: Tensor, teacher: Tensor) -> None:
    """Refuse embeddings that are not ``[batch, dimension]`` of one batch."""
    if student.ndim != 2 or teacher.ndim != 2 or len(student) != len(teacher):
        raise HearlessError(
            f"{name}: embeddings must be [batch, dimension] of the same batch, got {tuple(student.shape)} from the "
            f"student and {tuple(teacher.shape)} from the teacher; give both the same clips."
        )


def require_embedding(name: str, student: Prediction, teacher: Prediction | None) -> Tensor:
    """Return the teacher's embedding cut from the graph, whatever its classes; refuse a missing or ill-fitting one."""
    embedding = given(name, teacher).embedding
    check_embeddings(name, student.embedding, embedding)
    return embedding.detach()


def check_pairs(name: str, maps: str) -> None:
    """Refuse a ``maps`` that does not name maps, comma-joined, each as ``"both's"`` or ``"student's=teacher's"``."""
    for ours, theirs in _named(maps):
        if not (ours and theirs) or "=" in theirs:
            raise HearlessError(
                f"{name}: maps must name inner maps, comma-joined, each as 'stage2' or, where the teacher's has "
                f"another name, 'stage2=features.5', got {maps!r}; leave it empty to pair the last ones."
            )


def _named(maps: str) -> list[tuple[str, str]]:
    """Return the student's and the teacher's name of each pair, without the blanks around them."""
    parts = [[side.strip() for side in pair.split("=", 1)] for pair in maps.split(",")] if maps.strip() else []
    return [(part[0], part[-1]) for part in parts]


def paired_maps(name: str, maps: str, student: Prediction, teacher: Prediction | None) -> list[tuple[Tensor, Tensor]]:
    """Return the maps to compare, the student's and the teacher's, each ``[batch, channel, band, frame]``.

    Args:
        name: the objective's.
        maps: what `check_pairs` takes; where it is empty, the student's last map is paired with the teacher's last, the
            one before with the one before, until one of them has no more.
        student: what the student says, maps included.
        teacher: what the teacher says, maps included; they are cut from the graph.

    Raises:
        HearlessError: no teacher, no maps, a name that is not there, or maps that are no images of the same clips.
    """
    inner, taught = student.maps, given(name, teacher).maps
    pairs = _named(maps) or list(zip(reversed(inner), reversed(taught), strict=False))[::-1]
    if not pairs:
        raise HearlessError(
            f"{name}: student and teacher must give inner maps, got {len(inner)} and {len(taught)}; "
            "take classifiers that have some."
        )
    found = [(_found(name, "student", inner, ours), _found(name, "teacher", taught, theirs)) for ours, theirs in pairs]
    for mine, theirs in found:
        check_batch(name, mine, theirs)
    return [(mine, theirs.detach().to(mine)) for mine, theirs in found]


def _found(name: str, who: str, maps: Mapping[str, Tensor], wanted: str) -> Tensor:
    if wanted not in maps:
        raise HearlessError(f"{name}: the {who} has no map {wanted!r}; it has {', '.join(maps) or 'none'}.")
    if maps[wanted].ndim != 4:
        raise HearlessError(
            f"{name}: maps must be [batch, channel, band, frame], got {tuple(maps[wanted].shape)} from the {who}'s "
            f"{wanted!r}; a transformer's tokens have no bands and frames, compare embeddings instead."
        )
    return maps[wanted]


def check_batch(name: str, student: Tensor, teacher: Tensor) -> None:
    """Refuse maps of other numbers of clips."""
    if len(student) != len(teacher):
        raise HearlessError(
            f"{name}: maps must be of the same batch, got {tuple(student.shape)} from the student and "
            f"{tuple(teacher.shape)} from the teacher; give both the same clips."
        )


def check_bound(name: str, made: list[int], found: list[int]) -> None:
    """Refuse inputs of other widths than those that `bind` made parameters for."""
    if made != found:
        raise HearlessError(
            f"{name} must be bound before it is called, to networks of these widths, got {made or 'none'} for {found}; "
            "call bind with one example of each."
        )


def at_one_size(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Return two maps ``[batch, channel, band, frame]`` averaged down to the smaller count of bands and of frames.

    A low-rate student has fewer of them.  Each axis is stretched over the other's, from end to end: where the student
    hears the lowest 500 Hz and its teacher 8 kHz, their bands do not meet at the same frequency.
    """
    size = min(first.shape[2], second.shape[2]), min(first.shape[3], second.shape[3])
    return pooled(first, size), pooled(second, size)


def pooled(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Return ``[batch, channel, band, frame]`` averaged to so many bands and frames, or as it is where it has them."""
    return maps if tuple(maps.shape[2:]) == size else F.adaptive_avg_pool2d(maps, size)
