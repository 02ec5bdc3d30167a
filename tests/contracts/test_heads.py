"""What every head promises, tried on every file of the shelf."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import pytest
import torch
from torch import nn

from hearless.interfaces import HearlessError, Prediction
from hearless.spec import class_names, resolve, shelf_files, spec, spec_from_json


@pytest.fixture(params=class_names("heads"))
def made(request: pytest.FixtureRequest) -> Any:
    cls = resolve("heads", request.param)
    return spec(cls, **importlib.import_module(cls.__module__).EXAMPLE)


@pytest.fixture
def head(made: Any) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return made.build().eval()


def prediction(made: Any, seed: int = 0, wider: int = 0) -> Prediction:
    """What a classifier says of four clips, of the sizes that the head's example states (or ``wider``)."""
    scores, dimension = made.arguments.get("n_scores", 6) + wider, made.arguments.get("dimension", 6) + wider
    rng = torch.Generator().manual_seed(seed)
    logits, embedding = torch.randn(4, scores, generator=rng), torch.randn(4, dimension, generator=rng)
    return Prediction(logits, embedding, torch.randn(4, 1, 8, 5, generator=rng), {"inner": torch.zeros(4, 2)})


def test_each_file_holds_one_class() -> None:
    assert {name.lower() for name in class_names("heads")} == set(shelf_files("heads"))


def test_the_constructor_is_keyword_only_takes_classes_and_survives_json(made: Any) -> None:
    parameters = inspect.signature(resolve("heads", made.name)).parameters
    assert "n_classes" in parameters
    assert {p.kind for p in parameters.values()} == {inspect.Parameter.KEYWORD_ONLY}
    assert spec_from_json(made.to_json()) == made


def test_a_prediction_over_the_target_classes(made: Any, head: Any) -> None:
    given = prediction(made)
    judged = head(given)
    assert isinstance(head, nn.Module)
    assert head.n_classes == made.arguments["n_classes"]
    assert judged.logits.shape == (4, head.n_classes)
    assert judged.embedding.ndim == 2
    assert judged.embedding.shape[0] == 4
    assert judged.features is given.features
    assert judged.maps == given.maps


def test_each_clip_by_itself(made: Any, head: Any) -> None:
    given = prediction(made)
    singly = [head(Prediction(given.logits[i : i + 1], given.embedding[i : i + 1])).logits for i in range(4)]
    torch.testing.assert_close(head(given).logits, torch.cat(singly))


def test_gradients_reach_every_parameter(made: Any, head: Any) -> None:
    if not list(head.parameters()):
        pytest.skip("nothing of it is learned")
    head(prediction(made)).logits.square().sum().backward()
    assert [key for key, p in head.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_the_prediction_given_is_left_alone(made: Any, head: Any) -> None:
    given, untouched = prediction(made), prediction(made)
    head(given)
    assert torch.equal(given.logits, untouched.logits)
    assert torch.equal(given.embedding, untouched.embedding)


def test_another_classifier_is_refused(made: Any, head: Any) -> None:
    with pytest.raises(HearlessError, match="; set "):
        head(prediction(made, wider=1))


def test_no_classes_are_refused(made: Any) -> None:
    with pytest.raises(HearlessError, match="n_classes must be at least 1, got 0"):
        made.replace(n_classes=0).build()
