"""Calls of networks that free feature maps as soon as they have been used.

Keras keeps the outputs of all layers until a call ends. StyleGAN2 has about twenty for each size:
of 64 images of 256×256 pixels, together more than 40 GB.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ganvas.keras_types import Model


def call_freeing(model: Model, inputs: Sequence[np.ndarray]) -> np.ndarray:
    """Call a functional model with one output in inference mode.

    Its layers are called one by one as Keras does, so the output is the same to the bit.

    Args:
        model: A functional model; submodels are called as a whole.
        inputs: Its inputs, in their order.

    Example:
        >>> import keras
        >>> inputs = keras.Input((2,))
        >>> model = keras.Model(inputs, keras.layers.ReLU()(inputs * 2))
        >>> call_freeing(model, [np.array([[1.0, -1.0]], np.float32)]).tolist()
        [[2.0, 0.0]]
    """
    # Keras takes seconds to import, and every command imports this module.
    from keras import ops

    # Keras has no public access to calls.
    by_depth = model._nodes_by_depth
    nodes = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
    nodes = [node for node in nodes if not node.is_input]
    last_use = {id(x): number for number, node in enumerate(nodes) for x in node.input_tensors}
    last_use[id(model.outputs[0])] = len(nodes)
    tensors = {
        id(x): ops.convert_to_tensor(array) for x, array in zip(model.inputs, inputs, strict=True)
    }
    for number, node in enumerate(nodes):
        _call_node(node, tensors)
        for x in (*node.input_tensors, *node.outputs):
            if last_use.get(id(x), number) == number:
                tensors.pop(id(x), None)
    return np.asarray(tensors[id(model.outputs[0])])


def _call_node(node: Any, tensors: dict[int, Any]) -> None:
    """Add the outputs of a node; a function, so that no variable holds its inputs afterwards."""
    from keras import tree

    arguments, options = node.arguments.fill_in(tensors)
    if getattr(node.operation, "_call_has_training_arg", False):
        options["training"] = False
    outputs = tree.flatten(node.operation(*arguments, **options))
    tensors.update(zip(map(id, node.outputs), outputs, strict=True))
