"""Teachers are data: what they say of themselves in JSON, and what they refuse."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from hearless.captures.full_band import FullBand
from hearless.classifiers.mobilenetv3 import MobileNetV3
from hearless.frontends.log_mel import LogMel
from hearless.interfaces import HearlessError
from hearless.pipeline import PipelineSpec
from hearless.spec import spec
from hearless.teachers import CrossFitted, Fused, Pretrained, Trained

EAR = PipelineSpec(spec(FullBand), spec(LogMel), spec(MobileNetV3))


@dataclass(frozen=True)
class Fake:
    """A recipe, as far as a teacher knows it."""

    number: int = 1

    def to_json(self) -> dict[str, Any]:
        return {"number": self.number}


TEACHERS = {
    "Pretrained": (
        Pretrained("mn04", "ab", EAR),
        {"teacher": "Pretrained", "weights": "mn04", "sha256": "ab", "pipeline": EAR.to_json()},
    ),
    "Pretrained, no pipeline": (
        Pretrained("mn04"),
        {"teacher": "Pretrained", "weights": "mn04", "sha256": "", "pipeline": None},
    ),
    "Trained": (Trained(Fake()), {"teacher": "Trained", "recipe": {"number": 1}, "seed": None}),
    "Trained, on a fold of its own": (
        Trained(Fake(), 0, "2"),
        {"teacher": "Trained", "recipe": {"number": 1}, "seed": 0, "fold": "2"},
    ),
    "CrossFitted": (
        CrossFitted(Fake(2), 4, seed=7),
        {"teacher": "CrossFitted", "recipe": {"number": 2}, "n_parts": 4, "seed": 7},
    ),
    "Fused": (
        Fused((Trained(Fake(), seed=3), Pretrained("x"))),
        {
            "teacher": "Fused",
            "teachers": [
                {"teacher": "Trained", "recipe": {"number": 1}, "seed": 3},
                {"teacher": "Pretrained", "weights": "x", "sha256": "", "pipeline": None},
            ],
            "how": "mean",
        },
    ),
}


@pytest.mark.parametrize("kind", TEACHERS)
def test_json_says_all_fields_and_the_kind(kind: str) -> None:
    teacher, expected = TEACHERS[kind]
    assert json.loads(json.dumps(teacher.to_json())) == expected
    unsaid = {"fold"} if kind == "Trained" else set()  # came later and stays out where it is none, as in old hashes
    assert set(teacher.to_json()) == {"teacher", *teacher.__dataclass_fields__} - unsaid


def test_teachers_are_values() -> None:
    assert Trained(Fake(1)) == Trained(Fake(1))
    assert len({Trained(Fake(1)), Trained(Fake(1)), Trained(Fake(2)), CrossFitted(Fake(1))}) == 3
    with pytest.raises(AttributeError, match="cannot assign"):
        Trained(Fake()).seed = 3  # type: ignore[misc]  # that it is refused is the test


@pytest.mark.parametrize("n_parts", [1, 0, -3])
def test_one_part_is_refused(n_parts: int) -> None:
    with pytest.raises(HearlessError, match=f"n_parts must be at least 2, got {n_parts}; one part would leave nothing"):
        CrossFitted(Fake(), n_parts)


def test_fusing_nothing_or_otherwise_is_refused() -> None:
    with pytest.raises(HearlessError, match=r"how='mean' or how='fitted', got 0, 'mean'"):
        Fused(())
    with pytest.raises(HearlessError, match=r"got 1, 'product'"):
        Fused((Trained(Fake()),), "product")
    assert Fused((Trained(Fake()),), "fitted").to_json()["how"] == "fitted"
