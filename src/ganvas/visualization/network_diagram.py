"""Networks as Mermaid text: a box for each resolution that they pass, with its shape.

The boxes are found in the built networks themselves, so a network of one's own is drawn too.
"""

from collections import Counter
from collections.abc import Iterable
from math import prod
from typing import NamedTuple

import keras

from ganvas.networks.gan_networks import GanNetworks

# What only moves numbers about; a box without anything else says nothing.
UNTOLD = {"Flatten", "InputLayer", "Reshape", "Rescaling", "ZeroPadding2D"}
# Mermaid measures a box before it has its font, and would fold its lines.
SPACE = "\u00a0"
STYLES = [
    "classDef generator fill:#ffedd5,stroke:#c2410c,color:#431407",
    "classDef discriminator fill:#dbeafe,stroke:#1d4ed8,color:#1e293b",
    "classDef frozen fill:#e2e8f0,stroke:#64748b,color:#1e293b,stroke-dasharray:4 3",
    "classDef ends fill:#ffffff,stroke:#475569,color:#0f172a",
]


class _Step(NamedTuple):
    """One call of a layer: what it gives, whom it takes from, and in which network it stands."""

    layer: keras.Operation
    shape: tuple[int | None, ...]
    sources: list[int]
    part: str


class Block(NamedTuple):
    """What is drawn as one box.

    Attributes:
        shape: Of what leaves it, without the batch.
        kinds: The layers in it, in their order, each with how many there are.
        parameters: Numbers that it holds.
        frozen: Whether it has such numbers and learns none of them.
        sources: Places, in the list of blocks, of those that it takes from.
        given: The input or output that it stands for; empty for what computes.
    """

    shape: tuple[int, ...]
    kinds: dict[str, int]
    parameters: int
    frozen: bool
    sources: list[int]
    given: str = ""


def draw_networks(pair: GanNetworks) -> str:
    """Draw a generator and its discriminator.

    Returns:
        A Mermaid flowchart, each network from left to right: boxes with shape, layers and
        parameters; rounded ones for what goes in and comes out; gray ones for what isn't trained.
    """
    generator, discriminator = pair[:2]
    between = f"{generator.name} --> {discriminator.name}"
    return "\n".join(["flowchart TB", *_draw(generator), *_draw(discriminator), between, *STYLES])


def find_blocks(model: keras.Model) -> list[Block]:
    """Find what is drawn of a functional model, from its inputs to its outputs.

    Layers that follow each other at one resolution are one block. What has no weights, or gives
    vectors to one block alone, belongs to the block that takes it.
    """
    steps, outputs = _list_steps(model)
    ends = {step for _, step in outputs}
    groups = _group(steps, ends)
    members: dict[int, list[int]] = {}
    for number, group in enumerate(groups):
        members.setdefault(group, []).append(number)
    place = {group: number for number, group in enumerate(members)}
    blocks = []
    for group, numbers in members.items():
        own = [steps[number] for number in numbers]
        taken = {groups[source] for step in own for source in step.sources} - {group}
        blocks.append(_make_block(own, sorted(place[each] for each in taken)))
    for name, step in outputs:
        shape = _without_batch(steps[step].shape)
        blocks.append(Block(shape, {}, 0, False, [place[groups[step]]], name))
    return blocks


def _draw(model: keras.Model) -> list[str]:
    blocks = find_blocks(model)
    title = f"{model.name.capitalize()}: {model.count_params():,} parameters"
    lines = [f'subgraph {model.name}["{title.replace(" ", SPACE)}"]', "direction LR"]
    edges = []
    for number, block in enumerate(blocks):
        box = f"{model.name}{number}"
        kind = "ends" if block.given else "frozen" if block.frozen else model.name
        before, after = ("([", "])") if block.given else ("[", "]")
        lines.append(f'{box}{before}"{_tell(block)}"{after}:::{kind}')
        edges += [f"{model.name}{source} --> {box}" for source in block.sources]
    quiet = f"style {model.name} fill:none,stroke:#64748b"
    return [*lines, "end", *edges, quiet]


def _tell(block: Block) -> str:
    shape = " × ".join(map(str, block.shape))
    lines = [block.given.replace("_", " "), shape] if block.given else [f"<b>{shape}</b>"]
    lines += [f"{count} {kind}" if count > 1 else kind for kind, count in block.kinds.items()]
    lines += [f"{block.parameters:,} parameters"] if block.parameters else []
    lines += ["frozen"] if block.frozen else []
    return "<br/>".join(line.replace(" ", SPACE) for line in lines)


def _make_block(steps: list[_Step], sources: list[int]) -> Block:
    layers = list({id(step.layer): step.layer for step in steps}.values())
    known = [layer for layer in layers if isinstance(layer, keras.Layer)]
    weights = [weight for layer in known for weight in layer.weights]
    trained = any(layer.trainable_weights for layer in known)
    first = steps[0].layer
    return Block(
        _without_batch(steps[-1].shape),
        dict(Counter(name for layer in known for name in _names(layer) if name not in UNTOLD)),
        sum(prod(weight.shape) for weight in weights),
        bool(weights) and not trained,
        sources,
        first.name if isinstance(first, keras.layers.InputLayer) else "",
    )


def _names(layer: keras.Layer) -> list[str]:
    """The kinds of a layer and of what it wraps."""
    inner = _names(layer.layer) if isinstance(layer, keras.layers.Wrapper) else []
    name = type(layer).__name__
    # A drawing is as wide as its longest words.
    return [*inner, name.replace("Normalization", "Norm").replace("AveragePooling", "AvgPool")]


def _without_batch(shape: Iterable[int | None]) -> tuple[int, ...]:
    return tuple(side for side in list(shape)[1:] if side is not None)


def _list_steps(model: keras.Model) -> tuple[list[_Step], list[tuple[str, int]]]:
    """List what a model computes in order, and its outputs: their names and steps."""
    steps: list[_Step] = []
    made: dict[int, int] = {}
    _follow(model, "", steps, made)
    named = model.output if isinstance(model.output, dict) else {}
    names = {id(tensor): name for name, tensor in named.items()}
    default = "images" if len(model.output_shape) == 4 else "logits"
    return steps, [(names.get(id(each), default), made[id(each)]) for each in model.outputs]


def _follow(model: keras.Model, part: str, steps: list[_Step], made: dict[int, int]) -> None:
    """Add a model's steps, those of models within it too; `made` tells which made a tensor."""
    # Keras has no public way to the calls of a layer; with a shared one, this model's alone.
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            inner = node.operation
            if node.is_input and part:
                continue
            if isinstance(inner, keras.Model):
                taken = zip(inner.inputs, node.input_tensors, strict=True)
                made |= {id(own): made[id(given)] for own, given in taken}
                _follow(inner, inner.name, steps, made)
                given = zip(node.output_tensors, inner.outputs, strict=True)
                made |= {id(outer): made[id(own)] for outer, own in given}
                continue
            sources = [made[id(tensor)] for tensor in node.input_tensors]
            made |= dict.fromkeys(map(id, node.output_tensors), len(steps))
            steps.append(_Step(inner, node.output_tensors[0].shape, sources, part))


def _group(steps: list[_Step], ends: set[int]) -> list[int]:
    """Give each step the number of its group."""
    groups = list(range(len(steps)))

    def merge(one: int, other: int) -> None:
        old, new = groups[one], groups[other]
        groups[:] = [new if each == old else each for each in groups]

    for number, step in enumerate(steps):
        for source in step.sources:
            if _alike(steps[source], step):
                merge(source, number)
    for number in range(len(steps)):
        own = {each for each, group in enumerate(groups) if group == groups[number]}
        takers = {
            groups[each]
            for each, step in enumerate(steps)
            if own & set(step.sources) and each not in own
        }
        if len(takers) == 1 and not own & ends and _belongs_to_taker([steps[e] for e in own]):
            merge(number, takers.pop())
    return groups


def _alike(source: _Step, step: _Step) -> bool:
    """Tell whether a step goes on at the resolution of its source, in the same network."""
    if isinstance(source.layer, keras.layers.InputLayer) or source.part != step.part:
        return False
    return len(source.shape) == len(step.shape) and source.shape[1:-1] == step.shape[1:-1]


def _belongs_to_taker(steps: list[_Step]) -> bool:
    if isinstance(steps[0].layer, keras.layers.InputLayer):
        return False
    maps = any(len(step.shape) == 4 and step.shape[1] != 1 for step in steps)
    return not maps or not any(getattr(step.layer, "weights", None) for step in steps)
