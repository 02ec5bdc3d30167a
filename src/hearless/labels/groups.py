"""Which classes of a published label set make up a class of another data set: mapped by hand, by name.

Paper 003 tried such a mapping ("similar to" that of Gontier et al. 2021) and prints neither it nor its numbers: this
one is ours.  A name that a label set lacks is left out (YAMNet's 521 lack six of AudioSet's 527).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hearless.interfaces import HearlessError
from hearless.labels import known_sets, label_names

_DOG = ("Dog", "Bark", "Yip", "Howl", "Bow-wow", "Growling", "Whimper (dog)")
_HORN = ("Vehicle horn, car horn, honking", "Toot", "Air horn, truck horn")
_SIREN = (
    "Siren", "Civil defense siren", "Emergency vehicle", "Police car (siren)", "Ambulance (siren)",
    "Fire engine, fire truck (siren)",
)  # fmt: skip
_ENGINE = (
    "Engine", "Light engine (high frequency)", "Medium engine (mid frequency)", "Heavy engine (low frequency)",
    "Engine knocking", "Engine starting", "Idling",
)  # fmt: skip
_MUSIC = ("Music", "Musical instrument", "Singing")

GROUPS: dict[str, dict[str, tuple[str, ...]]] = {
    "urbansound8k": {
        "air_conditioner": ("Air conditioning", "Mechanical fan"),
        "car_horn": _HORN,
        "children_playing": ("Children playing", "Children shouting", "Child speech, kid speaking"),
        "dog_bark": _DOG,
        "drilling": ("Drill", "Power tool"),
        "engine_idling": _ENGINE,
        "gun_shot": ("Gunshot, gunfire", "Machine gun", "Fusillade", "Artillery fire", "Cap gun"),
        "jackhammer": ("Jackhammer",),
        "siren": _SIREN,
        "street_music": _MUSIC,
    },
    "sonyc_ust": {
        "engine": (*_ENGINE, "Motor vehicle (road)", "Car", "Truck", "Bus", "Motorcycle"),
        "machinery-impact": ("Jackhammer", "Drill"),
        "non-machinery-impact": (
            "Hammer", "Thump, thud", "Thunk", "Bang", "Whack, thwack", "Smash, crash", "Clang", "Clatter"
        ),
        "powered-saw": ("Chainsaw", "Sawing", "Power tool"),
        "alert-signal": (*_HORN, *_SIREN, "Car alarm", "Reversing beeps"),
        "music": (*_MUSIC, "Ice cream truck, ice cream van"),
        "human-voice": (
            "Speech", "Male speech, man speaking", "Female speech, woman speaking", "Child speech, kid speaking",
            "Conversation", "Shout", "Yell", "Screaming", "Chatter", "Crowd", "Hubbub, speech noise, speech babble",
        ),
        "dog": _DOG,
    },
}  # fmt: skip
"""Names of AudioSet's classes by mapping and class."""


def set_of_size(n_names: int) -> str:
    """Return the label set that has so many names.

    Raises:
        HearlessError: none has.
    """
    sizes = {len(label_names(name)): name for name in known_sets()}
    if n_names not in sizes:
        known = ", ".join(f"{size} ({name})" for size, name in sorted(sizes.items()))
        raise HearlessError(f"a label set has {known} classes, got {n_names}; name one of them.")
    return sizes[n_names]


def members(mapping: str, source: str, labels: Sequence[str] = ()) -> dict[str, tuple[int, ...]]:
    """Return which classes of a label set make up each class, by their index.

    Args:
        mapping: one of `GROUPS`.
        source: the label set of the scores, such as ``"audioset"``.
        labels: the classes wanted, in this order; empty: all.  ``Car horn`` is found as ``car_horn``.

    Raises:
        HearlessError: an unknown mapping, label set or label.
    """
    if mapping not in GROUPS:
        raise HearlessError(f"a mapping by hand must be one of {', '.join(GROUPS)}, got {mapping!r}.")
    places = {name: place for place, name in enumerate(label_names(source))}
    known = {_plain(label): label for label in GROUPS[mapping]}
    if unknown := [label for label in labels if _plain(label) not in known]:
        raise HearlessError(
            f"classes mapped by hand must be {mapping}'s ({', '.join(GROUPS[mapping])}), got {_listed(unknown)}; name "
            "them so in the table, leave those clips out, or train a head instead."
        )
    return {
        label: tuple(places[name] for name in GROUPS[mapping][known[_plain(label)]] if name in places)
        for label in labels or GROUPS[mapping]
    }


def _plain(label: str) -> str:
    return label.strip().casefold().replace(" ", "_").replace("-", "_")


def _listed(labels: Iterable[str], shown: int = 10) -> str:
    named = list(labels)
    return ", ".join(named[:shown]) + (f" and {len(named) - shown} more" if len(named) > shown else "")
