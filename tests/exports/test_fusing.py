"""Eight operators become one that says the same; what only looks alike stays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs hearless[onnx]")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs hearless[onnx]")

from hearless.exports._fusing import fuse_instance_norms

SHAPE = [2, 3, 5, 4]


def model(axes: tuple[int, ...] = (2, 3), power: float = 2.0, shared: bool = False) -> Any:
    """Return ``0.1 x + (x - mean) / sqrt(var + 1e-3)``; ``shared`` lets another read the difference."""
    make, floats = onnx.helper.make_node, onnx.numpy_helper.from_array
    nodes = [
        make("ReduceMean", ["x", "axes"], ["mean"]), make("Sub", ["x", "mean"], ["apart"]),
        make("Pow", ["apart", "power"], ["squares"]), make("ReduceMean", ["squares", "axes"], ["variance"]),
        make("Add", ["variance", "eps"], ["sum"]), make("Sqrt", ["sum"], ["root"]),
        make("Reciprocal", ["root"], ["one"]), make("Mul", ["apart", "one"], ["normal"]),
        make("Mul", ["x", "weight"], ["rest"]),
        make("Add", ["rest", "apart" if shared else "normal"], ["more"]), make("Add", ["more", "normal"], ["y"]),
    ]  # fmt: skip
    constants = {"axes": np.array(axes), "power": np.float32(power), "eps": np.float32(1e-3), "weight": np.float32(0.1)}
    ends = [onnx.helper.make_tensor_value_info(name, 1, SHAPE) for name in ("x", "y")]
    graph = onnx.helper.make_graph(
        nodes, "g", ends[:1], ends[1:], [floats(np.asarray(value), name) for name, value in constants.items()]
    )
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)
    made.graph.value_info.append(onnx.helper.make_tensor_value_info("x", 1, SHAPE))
    return made


def run(made: Any) -> np.ndarray:
    x = np.random.default_rng(0).standard_normal(SHAPE, np.float32)
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def test_a_normalisation_over_maps_becomes_one_operator_that_says_the_same() -> None:
    made = model()
    wanted = run(made)
    assert fuse_instance_norms(made) == 1
    onnx.checker.check_model(made)
    assert [node.op_type for node in made.graph.node] == [
        "ConstantOfShape", "ConstantOfShape", "InstanceNormalization", "Mul", "Add", "Add"
    ]  # fmt: skip
    assert {tensor.name for tensor in made.graph.initializer} == {"weight", "instance_norm_channels_3"}
    np.testing.assert_allclose(run(made), wanted, atol=1e-6)


@pytest.mark.parametrize("other", [{"axes": (1, 3)}, {"power": 3.0}, {"shared": True}], ids=str)
def test_what_only_looks_alike_stays(other: dict[str, Any]) -> None:
    made = model(**other)
    before = made.SerializeToString()
    assert fuse_instance_norms(made) == 0
    assert made.SerializeToString() == before
