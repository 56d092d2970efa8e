"""Network diagrams as Mermaid text, with a box for each resolution.

The boxes are found in the built Keras models, so custom networks are drawn too. Where weights are
tensors, as in `ganvas.networks.equalized`, they belong to the operations that use them.
"""

import re
from collections import Counter
from collections.abc import Iterable
from math import prod
from typing import NamedTuple

import keras

from ganvas.networks.gan_networks import GanNetworks

# Layers that only rearrange values are not listed in a box.
HIDDEN_LAYERS = {"Flatten", "InputLayer", "Reshape", "Rescaling", "ZeroPadding2D"}
# A space that doesn't wrap: Mermaid measures boxes before their font is loaded.
SPACE = "\u00a0"
# Start of the names of layers that are one box, where the weights of a block are tensors.
BLOCK = re.compile(r"b\d+_")
STYLES = [
    "classDef generator fill:#ffedd5,stroke:#c2410c,color:#431407",
    "classDef discriminator fill:#dbeafe,stroke:#1d4ed8,color:#1e293b",
    "classDef frozen fill:#e2e8f0,stroke:#64748b,color:#1e293b,stroke-dasharray:4 3",
    "classDef ends fill:#ffffff,stroke:#475569,color:#0f172a",
]


class _Call(NamedTuple):
    """A call of a layer: its output shape, the calls that produce its inputs, its submodel.

    `weights` are layers whose outputs are weights that this call uses.
    """

    layer: keras.Operation
    shape: tuple[int | None, ...]
    sources: list[int]
    submodel: str
    weights: tuple[keras.Layer, ...] = ()


class Block(NamedTuple):
    """A box of the diagram.

    Attributes:
        shape: Output shape without the batch axis.
        layers: Number of layers of each type, in order.
        parameters: Number of weights.
        frozen: Whether it has weights, none of them trainable.
        sources: Indices of the blocks whose outputs are its inputs.
        endpoint: Name of the model's input or output that it stands for, or empty.
    """

    shape: tuple[int, ...]
    layers: dict[str, int]
    parameters: int
    frozen: bool
    sources: list[int]
    endpoint: str = ""


def draw_networks(networks: GanNetworks) -> str:
    """Draw a generator and its discriminator.

    Returns:
        A Mermaid flowchart, each network from left to right: boxes with output shape, layers and
        parameters; rounded boxes for inputs and outputs; gray boxes for frozen layers.

    Example:
        >>> from ganvas.networks.dcgan import DcganParams, build_dcgan
        >>> draw_networks(build_dcgan(DcganParams(), (64, 64, 3))).splitlines()[0]
        'flowchart TB'
    """
    generator, discriminator = networks[:2]
    edge = f"{generator.name} --> {discriminator.name}"
    return "\n".join(["flowchart TB", *_draw(generator), *_draw(discriminator), edge, *STYLES])


def find_blocks(model: keras.Model) -> list[Block]:
    """Group the layers of a functional model into blocks, from its inputs to its outputs.

    Consecutive layers at one resolution are one block. Layers without weights, and those that
    output vectors to a single block, belong to the block that follows.
    """
    calls, outputs = _attach_weights(*_list_calls(model))
    groups = _group_calls(calls, {call for _, call in outputs})
    members: dict[int, list[int]] = {}
    for number, group in enumerate(groups):
        members.setdefault(group, []).append(number)
    index = {group: number for number, group in enumerate(members)}
    blocks = []
    for group, numbers in members.items():
        own = [calls[number] for number in numbers]
        sources = {groups[source] for call in own for source in call.sources} - {group}
        blocks.append(_make_block(own, sorted(index[source] for source in sources)))
    for name, number in outputs:
        shape = _without_batch(calls[number].shape)
        blocks.append(Block(shape, {}, 0, False, [index[groups[number]]], name))
    return blocks


def _draw(model: keras.Model) -> list[str]:
    title = f"{model.name.capitalize()}: {model.count_params():,} parameters"
    boxes, edges = [], []
    for number, block in enumerate(find_blocks(model)):
        box = f"{model.name}{number}"
        style = "ends" if block.endpoint else "frozen" if block.frozen else model.name
        before, after = ("([", "])") if block.endpoint else ("[", "]")
        boxes.append(f'{box}{before}"{_label(block)}"{after}:::{style}')
        edges += [f"{model.name}{source} --> {box}" for source in block.sources]
    return [
        f'subgraph {model.name}["{title.replace(" ", SPACE)}"]',
        "direction LR",
        *boxes,
        "end",
        *edges,
        f"style {model.name} fill:none,stroke:#64748b",
    ]


def _label(block: Block) -> str:
    shape = " × ".join(map(str, block.shape))
    lines = [block.endpoint.replace("_", " "), shape] if block.endpoint else [f"<b>{shape}</b>"]
    lines += [f"{count} {name}" if count > 1 else name for name, count in block.layers.items()]
    lines += [f"{block.parameters:,} parameters"] if block.parameters else []
    lines += ["frozen"] if block.frozen else []
    return "<br/>".join(line.replace(" ", SPACE) for line in lines)


def _make_block(calls: list[_Call], sources: list[int]) -> Block:
    # A layer may be called several times, and some calls are of plain operations.
    used = [layer for call in calls for layer in (*call.weights, call.layer)]
    unique = {id(layer): layer for layer in used}.values()
    layers = [layer for layer in unique if isinstance(layer, keras.Layer)]
    weights = [weight for layer in layers for weight in layer.weights]
    names = [name for layer in layers for name in _type_names(layer) if name not in HIDDEN_LAYERS]
    first = calls[0].layer
    return Block(
        _output_shape(calls),
        dict(Counter(names)),
        sum(prod(weight.shape) for weight in weights),
        bool(weights) and not any(layer.trainable_weights for layer in layers),
        sources,
        first.name if isinstance(first, keras.layers.InputLayer) else "",
    )


def _output_shape(calls: list[_Call]) -> tuple[int, ...]:
    """Return the shape of a block's last call; of a named one, of its maps with most channels."""
    if not _block_name(calls):
        return _without_batch(calls[-1].shape)
    # A block of a generator with skip connections ends with its part of the image, enlarged.
    last = _without_batch([call for call in calls if call.weights][-1].shape)
    if len(last) != 3:
        return last
    shapes = [_without_batch(call.shape) for call in calls]
    return max((shape for shape in shapes if shape[:-1] == last[:-1]), key=lambda shape: shape[-1])


def _type_names(layer: keras.Layer) -> list[str]:
    """Return the type of a layer, after that of the layer it wraps."""
    if _is_weight(layer):
        # Biases and constants are parts of what uses them, as they are of Keras's layers.
        kernel = {5: ["Conv2D"], 3: ["Dense"]}.get(len(layer.kernel.shape), [])
        return kernel if layer.name.endswith("_weight") else []
    inner = _type_names(layer.layer) if isinstance(layer, keras.layers.Wrapper) else []
    # Abbreviated, because long words make wide boxes.
    name = type(layer).__name__.replace("Normalization", "Norm")
    return [*inner, name.replace("AveragePooling", "AvgPool")]


def _without_batch(shape: Iterable[int | None]) -> tuple[int, ...]:
    return tuple(side for side in list(shape)[1:] if side is not None)


def _list_calls(model: keras.Model) -> tuple[list[_Call], list[tuple[str, int]]]:
    """List a model's layer calls in order, and the name and call of each output."""
    calls: list[_Call] = []
    producers: dict[int, int] = {}
    _add_calls(model, "", calls, producers)
    named = model.output if isinstance(model.output, dict) else {}
    names = {id(tensor): name for name, tensor in named.items()}
    default = "images" if len(model.output_shape) == 4 else "logits"
    outputs = [(names.get(id(x), default), producers[id(x)]) for x in model.outputs]
    return calls, outputs


def _add_calls(
    model: keras.Model, submodel: str, calls: list[_Call], producers: dict[int, int]
) -> None:
    """Add a model's calls, submodels included; `producers` maps a tensor's id to its call."""
    # Keras has no public access to calls; where a layer is shared, these are this model's alone.
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            layer = node.operation
            if node.is_input and submodel:
                continue
            if isinstance(layer, keras.Model):
                # The tensors within a submodel differ from those that it is called on.
                inputs = zip(layer.inputs, node.input_tensors, strict=True)
                producers |= {id(inner): producers[id(outer)] for inner, outer in inputs}
                _add_calls(layer, layer.name, calls, producers)
                outputs = zip(layer.outputs, node.output_tensors, strict=True)
                producers |= {id(outer): producers[id(inner)] for inner, outer in outputs}
                continue
            sources = [producers[id(tensor)] for tensor in node.input_tensors]
            producers |= dict.fromkeys(map(id, node.output_tensors), len(calls))
            calls.append(_Call(layer, node.output_tensors[0].shape, sources, submodel))


def _is_weight(layer: keras.Operation) -> bool:
    """Return whether a layer's output is a weight: that of the constant 1."""
    return isinstance(layer, keras.layers.EinsumDense) and layer.input.shape == (1, 1)


def _attach_weights(
    calls: list[_Call], outputs: list[tuple[str, int]]
) -> tuple[list[_Call], list[tuple[str, int]]]:
    """Remove calls whose results have no batch axis; the calls that use them get their weights.

    A weight that several calls use belongs to the first of them.
    """
    kept = {number for number, call in enumerate(calls) if not call.shape or call.shape[0] is None}
    if len(kept) == len(calls):
        return calls, outputs
    index = {number: position for position, number in enumerate(sorted(kept))}
    found: set[int] = set()
    attached = []
    for number in sorted(kept):
        call = calls[number]
        weights, pending = [], [source for source in call.sources if source not in kept]
        while pending:
            constant = pending.pop()
            # What a constant is made of, such as the shape of a feature map, is no input.
            if constant in kept or constant in found:
                continue
            found.add(constant)
            layer = calls[constant].layer
            weights += [layer] if isinstance(layer, keras.Layer) and layer.weights else []
            pending += calls[constant].sources
        sources = [index[source] for source in call.sources if source in kept]
        attached.append(call._replace(sources=sources, weights=tuple(weights)))
    return attached, [(name, index[number]) for name, number in outputs]


def _block_name(calls: Iterable[_Call]) -> str:
    """Return the start of the names of calls' weights, such as b8_; empty if they have none."""
    matches = (BLOCK.match(layer.name) for call in calls for layer in call.weights)
    return next((match[0] for match in matches if match), "")


def _name_blocks(calls: list[_Call]) -> list[str]:
    """Return the block of each call by its weights or, without any, those of what uses it."""
    names = [_block_name([call]) for call in calls]
    if not any(names):
        return names
    first = {name: names.index(name) for name in names}
    users: list[set[int]] = [set() for _ in calls]
    for number, call in enumerate(calls):
        for source in call.sources:
            users[source].add(number)

    unnamed = [
        number
        for number, call in enumerate(calls)
        if not names[number] and not isinstance(call.layer, keras.layers.InputLayer)
    ]
    for number in reversed(unnamed):
        found = {names[user] for user in users[number]}
        names[number] = found.pop() if len(found) == 1 else ""
    # The last calls of a block are used by others too, and sums belong to the later block.
    for number in unnamed:
        found = {names[source] for source in calls[number].sources}
        if not names[number] and found and "" not in found:
            names[number] = max(found, key=first.__getitem__)
    return names


def _group_calls(calls: list[_Call], outputs: set[int]) -> list[int]:
    """Return the number of each call's group."""
    names = _name_blocks(calls)
    firsts = {name: names.index(name) for name in names if name}
    groups = [firsts.get(name, number) for number, name in enumerate(names)]

    def merge(old: int, new: int) -> None:
        groups[:] = [new if group == old else group for group in groups]

    # Join consecutive layers at one resolution.
    for number, call in enumerate(calls):
        for source in call.sources:
            if names[number] == names[source] and _same_resolution(calls[source], call):
                merge(groups[source], groups[number])
    # Merge groups without a separate box into their only consumer.
    for number in range(len(calls)):
        if names[number]:
            continue
        own = {member for member, group in enumerate(groups) if group == groups[number]}
        consumers = {
            groups[other]
            for other, call in enumerate(calls)
            if own & set(call.sources) and other not in own
        }
        single = len(consumers) == 1 and not own & outputs
        if single and _joins_consumer([calls[member] for member in own]):
            merge(groups[number], consumers.pop())
    return groups


def _same_resolution(source: _Call, call: _Call) -> bool:
    if isinstance(source.layer, keras.layers.InputLayer) or source.submodel != call.submodel:
        return False
    return len(source.shape) == len(call.shape) and source.shape[1:-1] == call.shape[1:-1]


def _joins_consumer(calls: list[_Call]) -> bool:
    """Return whether a group has no separate box: it outputs vectors or has no weights."""
    if isinstance(calls[0].layer, keras.layers.InputLayer):
        return False
    feature_maps = any(len(call.shape) == 4 and call.shape[1] != 1 for call in calls)
    return not feature_maps or not any(
        call.weights or getattr(call.layer, "weights", None) for call in calls
    )
