"""Instance normalization as one operator: exporters write its eight steps, each a pass over the map.

Residual Normalization stays float between int8 layers; as eight operators it takes a third of an int8 file's time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

MAP = [2, 3]
"""Axes of a map ``[batch, channel, band, frame]``."""

TAIL = ("Add", "Sqrt", "Reciprocal", "Mul")


def fuse_instance_norms(model: Any) -> int:
    """Put ``InstanceNormalization`` in the place of ``(x - mean) / sqrt(var + eps)`` over maps; return how many.

    Args:
        model: an ONNX model with the shapes of its values; changed in place.
    """
    from onnx import numpy_helper

    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    channels = {info.name: _channels(info) for info in model.graph.value_info}
    readers: dict[str, list[Any]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    found = [steps for node in model.graph.node if (steps := _steps(node, readers, values)) is not None]
    fused = [steps for steps in found if channels.get(steps[0].input[0])]
    for steps in fused:
        _replace(model, steps, values, channels[steps[0].input[0]])
    read = {name for node in model.graph.node for name in node.input}
    used = [tensor for tensor in model.graph.initializer if tensor.name in read]
    del model.graph.initializer[:]
    model.graph.initializer.extend(used)
    return len(fused)


def _channels(info: Any) -> int:
    dims = info.type.tensor_type.shape.dim
    return dims[1].dim_value if len(dims) == 4 else 0


def _steps(mean: Any, readers: dict[str, list[Any]], values: dict[str, Any]) -> list[Any] | None:
    """Return the eight nodes that begin with this mean over a map, or None."""

    def only(node: Any, kind: str, fits: Callable[[Any], bool] = lambda node: True) -> Any:
        found = [one for one in readers.get(node.output[0], []) if one.op_type == kind and fits(one)]
        return found[0] if len(found) == 1 else None

    if not _over_map(mean, values):
        return None
    steps = [mean, only(mean, "Sub", lambda one: one.input[0] == mean.input[0])]
    power = steps[1] and only(steps[1], "Pow", lambda one: _number(one, 1, values) == 2.0)
    steps += [power, power and only(power, "ReduceMean", lambda one: _over_map(one, values))]
    for kind in TAIL:
        steps.append(steps[-1] and only(steps[-1], kind))
    whole = all(step is not None for step in steps) and {*steps[-1].input} == {steps[1].output[0], steps[-2].output[0]}
    single = whole and all(len(readers[step.output[0]]) == 1 for step in (mean, *steps[2:-1]))
    return steps if single and len(readers[steps[1].output[0]]) == 2 and _number(steps[4], 1, values) else None


def _over_map(node: Any, values: dict[str, Any]) -> bool:
    if node.op_type != "ReduceMean" or len(node.input) != 2 or node.input[1] not in values:
        return False
    kept = {attribute.name: attribute.i for attribute in node.attribute}.get("keepdims", 1)
    return bool(kept) and sorted(axis % 4 for axis in values[node.input[1]].ravel().tolist()) == MAP


def _number(node: Any, place: int, values: dict[str, Any]) -> float | None:
    found = values.get(node.input[place])
    return float(found.ravel()[0]) if found is not None and found.size == 1 else None


def _replace(model: Any, steps: list[Any], values: dict[str, Any], n_channels: int) -> None:
    """Put one operator where its eight steps ended; its scale and shift are made at loading, not stored."""
    from onnx import helper, numpy_helper

    nodes, last = model.graph.node, steps[-1]
    place = next(i for i, node in enumerate(nodes) if node.output[0] == last.output[0])
    shape = f"instance_norm_channels_{n_channels}"
    if shape not in values:
        values[shape] = np.array([n_channels], np.int64)
        model.graph.initializer.append(numpy_helper.from_array(values[shape], shape))
    names = [f"{last.output[0]}_{what}" for what in ("scale", "shift")]
    made = [
        helper.make_node("ConstantOfShape", [shape], [name], value=helper.make_tensor("value", 1, [1], [one]))
        for name, one in zip(names, (1.0, 0.0), strict=True)
    ]
    norm = helper.make_node(
        "InstanceNormalization", [steps[0].input[0], *names], [last.output[0]], epsilon=_number(steps[4], 1, values)
    )
    for node in (*made, norm):
        node.metadata_props.extend(last.metadata_props)
    gone = {step.output[0] for step in steps}
    kept = [node for node in nodes[:place] if node.output[0] not in gone], [*nodes[place + 1 :]]
    del nodes[:]
    nodes.extend([*kept[0], *made, norm, *kept[1]])
