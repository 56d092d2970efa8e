"""Files as tools/export_stylegan2.py writes them, of weights that a formula gives."""

import importlib.util
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from projects import ROOT

SIDES, WIDTH, LATENT, STYLE = (4, 8, 16, 32), 16, 6, 8
FILTER = np.outer([1, 3, 3, 1], [1, 3, 3, 1]).astype(np.float32) / 64


def channels(side: int) -> int:
    return min(256 // side, WIDTH)


def generator_shapes(classes: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes in the original's state dict, without filters."""
    shapes: dict[str, tuple[int, ...]] = {"synthesis.b4.const": (channels(4), 4, 4)}
    for side in SIDES:
        width = channels(side)
        layers = {"conv1": (width, width, 3), "torgb": (3, width, 1)}
        if side > 4:
            layers["conv0"] = (width, channels(side // 2), 3)
        for name, (outputs, inputs, kernel) in layers.items():
            layer = f"synthesis.b{side}.{name}"
            shapes[f"{layer}.weight"] = (outputs, inputs, kernel, kernel)
            shapes[f"{layer}.bias"] = (outputs,)
            shapes |= {f"{layer}.affine.weight": (inputs, STYLE), f"{layer}.affine.bias": (inputs,)}
            if name != "torgb":
                shapes |= {f"{layer}.noise_strength": (), f"{layer}.noise_const": (side, side)}
    shapes |= {"mapping.w_avg": (STYLE,), "mapping.fc1.weight": (STYLE, STYLE)}
    shapes["mapping.fc0.weight"] = (STYLE, LATENT + STYLE if classes else LATENT)
    shapes |= {"mapping.fc0.bias": (STYLE,), "mapping.fc1.bias": (STYLE,)}
    if classes:
        shapes |= {"mapping.embed.weight": (STYLE, classes), "mapping.embed.bias": (STYLE,)}
    return shapes


def discriminator_shapes(classes: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for side in SIDES[1:]:
        width, outputs = channels(side), channels(side // 2)
        if side == SIDES[-1]:
            shapes |= {
                f"b{side}.fromrgb.weight": (width, 3, 1, 1),
                f"b{side}.fromrgb.bias": (width,),
            }
        shapes |= {f"b{side}.conv0.weight": (width, width, 3, 3), f"b{side}.conv0.bias": (width,)}
        shapes |= {f"b{side}.conv1.weight": (outputs, width, 3, 3)}
        shapes |= {
            f"b{side}.conv1.bias": (outputs,),
            f"b{side}.skip.weight": (outputs, width, 1, 1),
        }
    last = WIDTH if classes else 1
    shapes |= {"b4.conv.weight": (WIDTH, WIDTH + 1, 3, 3), "b4.conv.bias": (WIDTH,)}
    shapes |= {"b4.fc.weight": (WIDTH, WIDTH * 16), "b4.fc.bias": (WIDTH,)}
    shapes |= {"b4.out.weight": (last, WIDTH), "b4.out.bias": (last,)}
    if classes:
        layers = {"embed": classes} | {f"fc{number}": WIDTH for number in range(8)}
        for name, inputs in layers.items():
            shapes[f"mapping.{name}.weight"] = (WIDTH, inputs)
            shapes[f"mapping.{name}.bias"] = (WIDTH,)
    return shapes


def make_weight(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return a weight that depends on the name of its array in the file."""
    values = np.sin(np.arange(np.prod(shape, dtype=int)) * 0.7 + zlib.crc32(key.encode()) % 100)
    values *= 1.4
    if key.endswith("affine.bias"):
        values = 1 + values * 0.2
    elif key.endswith(("bias", "noise_strength")):
        values *= 0.2
    elif "mapping.fc" in key:
        values *= 100
    return values.reshape(shape).astype(np.float32)


class Tensor:
    """A tensor as far as the script uses PyTorch's."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def detach(self) -> "Tensor":
        return self

    cpu = float = detach

    def numpy(self) -> np.ndarray:
        return self.array


class Network:
    """A network of the original, as far as the script uses one."""

    def __init__(self, prefix: str, shapes: dict[str, tuple[int, ...]], **arguments: Any) -> None:
        self.init_kwargs = arguments
        self.tensors = {name: make_weight(f"{prefix}/{name}", shapes[name]) for name in shapes}
        layer = "b8" if prefix == "discriminator" else "synthesis.b8"
        self.tensors[f"{layer}.conv1.resample_filter"] = FILTER

    def state_dict(self) -> dict[str, Tensor]:
        return {name: Tensor(array) for name, array in self.tensors.items()}


def make_networks(classes: int = 0) -> tuple[Network, Network]:
    common = {"c_dim": classes, "img_resolution": SIDES[-1], "img_channels": 3}
    widths = {"channel_base": 256, "channel_max": WIDTH, "conv_clamp": None, "num_fp16_res": 0}
    generator = Network(
        "generator",
        generator_shapes(classes),
        **common,
        z_dim=LATENT,
        w_dim=STYLE,
        mapping_kwargs={"num_layers": 2},
        synthesis_kwargs=widths,
    )
    discriminator = Network(
        "discriminator",
        discriminator_shapes(classes),
        **common,
        **widths,
        block_kwargs={"freeze_layers": 0},
        mapping_kwargs={},
        epilogue_kwargs={"mbstd_group_size": 4},
    )
    return generator, discriminator


def write_export(file: Path, networks: tuple[Network, Network] | None = None) -> Path:
    """Write a file by the script's own function."""
    spec = importlib.util.spec_from_file_location("script", ROOT / "tools/export_stylegan2.py")
    assert spec and spec.loader
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    script.export_networks(*(networks or make_networks()), "formula.pkl", file)
    return file
