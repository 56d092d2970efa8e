"""Read networks of NVIDIA's StyleGAN2-ADA from a file that `tools/export_stylegan2.py` has written.

The file is an archive of NumPy arrays, `generator/<name>` and `discriminator/<name>` by the names
of PyTorch's state dicts, and the text `config`: the arguments with which the networks were built,
as JSON. Nothing in it is executed.
"""

import json
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from pydantic import ValidationError

from ganvas.errors import GanvasError
from ganvas.image_shape import CHANNEL_COUNTS, LARGEST, SMALLEST
from ganvas.networks.config import Stylegan2Params
from ganvas.networks.gan_networks import GanNetworks
from ganvas.networks.stylegan2 import CLASS_LAYERS, MAPPING_MULTIPLIER, build_stylegan2
from ganvas.networks.stylegan2_transfer import list_weights

SCRIPT = "tools/export_stylegan2.py"
FORMAT, VERSION = "stylegan2-ada", 1
# Bytes of the text, which has a few hundred.
MAX_CONFIG = 2**20
FILTER = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64
# A group of a whole batch, in the original's words: none.
WHOLE_BATCH = 1024
# What can go wrong while an archive is read that is none, or has been cut off or changed.
UNREADABLE: tuple[type[Exception], ...] = (
    *(OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error),
    *(NotImplementedError, RuntimeError),
)
# Arguments of the original's networks that only choose how they are computed or trained.
IGNORED = {"num_fp16_res", "fp16_channels_last", "freeze_layers", "w_avg_beta"}
# The values of others that these networks have.
GENERATOR_ARGUMENTS: dict[str, dict[str, Any]] = {
    "mapping_kwargs": {"activation": "lrelu", "lr_multiplier": MAPPING_MULTIPLIER},
    "synthesis_kwargs": {
        "architecture": "skip",
        "activation": "lrelu",
        "resample_filter": [1, 3, 3, 1],
        "use_noise": True,
    },
}
DISCRIMINATOR_ARGUMENTS: dict[str, dict[str, Any]] = {
    "mapping_kwargs": {
        "num_layers": CLASS_LAYERS,
        "activation": "lrelu",
        "lr_multiplier": MAPPING_MULTIPLIER,
    },
    "block_kwargs": {"activation": "lrelu", "resample_filter": [1, 3, 3, 1]},
    "epilogue_kwargs": {"activation": "lrelu", "mbstd_num_channels": 1},
}
# The end of a weight's name, and the layers of the generator's mapping network.
PARTS = re.compile(r"_(weight|bias|noise_strength|noise_const|const)$")
MAPPING = re.compile(r"fc\d+|embed")
ARCHITECTURES = {"resnet": "residual", "orig": "plain"}


class ImportedNetworks(NamedTuple):
    """Networks with the weights of a file.

    Attributes:
        networks: Generator and discriminator.
        params: Their parameters.
        image_shape: Height, width and channels of the images.
        classes: Number of classes; 0 for none.
        source: Name of the pickle that the file was made of.
    """

    networks: GanNetworks
    params: Stylegan2Params
    image_shape: tuple[int, int, int]
    classes: int
    source: str

    def list_parameters(self) -> dict[str, Any]:
        """Return the parameters with which Ganvas builds these networks, by their dotted keys."""
        side = self.image_shape[0]
        usual = Stylegan2Params().resolve(side, side).model_dump()
        chosen = self.params.model_dump(
            exclude={"config", "style_mixing", "half_precision_maps", "freeze_layers"}
        )
        # Those that a preset, the profile or the size may set otherwise, whatever they are.
        always = {"latent", "style", "mapping_layers", "max_width", "channel_base", "noise"}
        return {"network.name": "stylegan2"} | {
            f"network.stylegan2.{key}": value
            for key, value in chosen.items()
            if key in always or value != usual[key]
        }


def import_stylegan2(file: Path) -> ImportedNetworks:
    """Build the networks that a file describes, with its weights.

    Args:
        file: What `tools/export_stylegan2.py` has written.

    Raises:
        GanvasError: The file can't be read, or describes other networks than these.

    Example:
        >>> import_stylegan2(Path("ffhq.npz")).image_shape
        (1024, 1024, 3)
    """
    if not file.is_file():
        raise GanvasError(f"There is no file {file}: make it by {SCRIPT}.")
    if not zipfile.is_zipfile(file):
        raise GanvasError(
            f"{file} is no complete .npz file: it may be a network pickle, which is not read here, "
            f"or was cut off. Make it by {SCRIPT}, on a machine with NVIDIA's code."
        )
    try:
        with zipfile.ZipFile(file) as archive:
            config = _read_config(archive)
            params, image_shape, classes = _read_params(config)
            networks = build_stylegan2(params, image_shape, classes)
            for network in networks[:2]:
                read_weights(archive, network)
    except GanvasError as error:
        raise GanvasError(f"{file} can't be imported: {error}") from error
    except UNREADABLE as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise GanvasError(
            f"{file} can't be read ({reason}): it may be cut off by a full disk or an incomplete "
            f"copy. Copy it again, or make it again by {SCRIPT}."
        ) from error
    return ImportedNetworks(networks, params, image_shape, classes, config["source"])


def _read_config(archive: zipfile.ZipFile) -> dict[str, Any]:
    """Return the arguments with which the networks were built, and the name of their pickle."""
    if "config.npy" not in archive.namelist():
        raise GanvasError(f"it has no 'config', so it was not made by {SCRIPT}.")
    if archive.getinfo("config.npy").file_size > MAX_CONFIG:
        raise GanvasError(f"its 'config' is longer than any that {SCRIPT} writes.")
    with archive.open("config.npy") as stream:
        text = np.lib.format.read_array(stream, allow_pickle=False)
    try:
        config = json.loads(str(text))
        found = config["format"], config["version"]
        parts = config["generator"], config["discriminator"]
        source = config["source"]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise GanvasError(f"its 'config' is not what {SCRIPT} writes.") from error
    if found != (FORMAT, VERSION):
        raise GanvasError(
            f"its format is {found[0]}, version {found[1]}, and this version of Ganvas reads "
            f"{FORMAT}, version {VERSION}: make it by the {SCRIPT} that came with this version."
        )
    if not isinstance(source, str) or not all(isinstance(part, dict) for part in parts):
        raise GanvasError(f"its 'config' is not what {SCRIPT} writes.")
    return dict(config)


def _read_params(config: dict[str, Any]) -> tuple[Stylegan2Params, tuple[int, int, int], int]:
    """Return parameters, image shape and number of classes of the networks.

    Raises:
        GanvasError: Networks with these arguments can't be built here.
    """
    generator, discriminator = config["generator"], config["discriminator"]
    mapping, synthesis, epilogue = (
        _nested(generator, "mapping_kwargs"),
        _nested(generator, "synthesis_kwargs"),
        _nested(discriminator, "epilogue_kwargs"),
    )
    side, channels, classes = (
        generator.get(key) for key in ("img_resolution", "img_channels", "c_dim")
    )
    if not isinstance(side, int) or side & (side - 1) or not SMALLEST <= side <= LARGEST:
        raise GanvasError(
            f"its images have a side of {side} pixels, and of powers of two Ganvas generates those "
            f"from {SMALLEST} to {LARGEST}."
        )
    if channels not in CHANNEL_COUNTS.values():
        raise GanvasError(f"its images have {channels} channels, and Ganvas generates 1, 3 or 4.")
    if not isinstance(classes, int) or classes < 0:
        raise GanvasError(f"its number of classes (c_dim) is {classes}.")
    _check_arguments("generator", generator, GENERATOR_ARGUMENTS)
    checked = dict(DISCRIMINATOR_ARGUMENTS)
    if not classes:
        del checked["mapping_kwargs"]
    _check_arguments("discriminator", discriminator, checked)
    _check_equal("generator", generator, discriminator, ("img_resolution", "img_channels", "c_dim"))
    defaults = {"channel_base": 32768, "channel_max": 512, "conv_clamp": None}
    _check_equal("generator", defaults | synthesis, defaults | discriminator, tuple(defaults))
    architecture = discriminator.get("architecture", "resnet")
    if architecture not in ARCHITECTURES:
        raise GanvasError(
            f"its discriminator's architecture is '{architecture}', and Ganvas has that of resnet "
            "and orig."
        )
    group = epilogue.get("mbstd_group_size", 4)
    values: dict[str, Any] = {
        "latent": generator.get("z_dim"),
        "style": generator.get("w_dim"),
        "mapping_layers": mapping.get("num_layers", 8),
        "channel_base": synthesis.get("channel_base", 32768),
        "max_width": synthesis.get("channel_max", 512),
        "group": WHOLE_BATCH if group is None else group,
        "architecture": ARCHITECTURES[architecture],
        "clamp": synthesis.get("conv_clamp"),
        "half_precision_maps": synthesis.get("num_fp16_res", 0),
    }
    try:
        params = Stylegan2Params(**values)
    except ValidationError as error:
        first = error.errors()[0]
        raise GanvasError(
            f"its {'.'.join(map(str, first['loc']))} is {first['input']!r}, which no network of "
            "Ganvas can have."
        ) from error
    return params, (side, side, channels), classes


def _nested(arguments: dict[str, Any], key: str) -> dict[str, Any]:
    value = arguments.get(key, {})
    if not isinstance(value, dict):
        raise GanvasError(f"its {key} are no dictionary.")
    return value


def _check_arguments(
    network: str, arguments: dict[str, Any], checked: dict[str, dict[str, Any]]
) -> None:
    """Check that arguments have the values that the networks here have."""
    for section, values in checked.items():
        found = _nested(arguments, section)
        for key, value in values.items():
            if key in found and found[key] != value:
                raise GanvasError(
                    f"its {network} has {key}={found[key]!r}, and StyleGAN2 in Ganvas has "
                    f"{key}={value!r} alone."
                )
    known = IGNORED.union(*checked.values()) | {
        *("z_dim", "w_dim", "c_dim", "img_resolution", "img_channels", "architecture"),
        *("channel_base", "channel_max", "conv_clamp", "num_layers", "cmap_dim"),
        *("embed_features", "layer_features", "mbstd_group_size"),
    }
    for section, value in arguments.items():
        is_section = section.endswith("_kwargs") and isinstance(value, dict)
        if section in DISCRIMINATOR_ARGUMENTS and section not in checked:
            continue
        for key in value if is_section else [section]:
            if key not in known:
                raise GanvasError(
                    f"its {network} was built with {key}, an argument that stylegan2-ada-pytorch "
                    "doesn't have."
                )


def _check_equal(
    what: str, first: dict[str, Any], second: dict[str, Any], keys: tuple[str, ...]
) -> None:
    for key in keys:
        if first.get(key) != second.get(key):
            raise GanvasError(
                f"its {what} has {key}={first.get(key)!r} and its discriminator "
                f"{second.get(key)!r}: in Ganvas both have the same."
            )


def read_weights(archive: zipfile.ZipFile, network: keras.Model) -> None:
    """Set the weights of a generator or discriminator.

    Args:
        archive: What `tools/export_stylegan2.py` has written.
        network: One of `ganvas.networks.stylegan2`.

    Raises:
        GanvasError: Arrays are missing, unknown, of another shape or type, or not finite.
    """
    prefix = f"{network.name}/"
    names = {name.removesuffix(".npy") for name in archive.namelist() if name.startswith(prefix)}
    weights = {
        prefix + original_name(name, network.name == "generator"): (name, weight)
        for name, weight in list_weights(network).items()
        if name != "truncation"
    }
    filters = {name for name in names if name.endswith(".resample_filter")}
    for what, which in (
        ("lacks", sorted(weights.keys() - names)),
        ("has unknown arrays:", sorted(names - weights.keys() - filters)),
    ):
        if which:
            more = f" and {len(which) - 3} more" if len(which) > 3 else ""
            raise GanvasError(f"it {what} {', '.join(which[:3])}{more}.")
    for name in sorted(filters):
        if not np.allclose(_read_array(archive, name, (4, 4)), FILTER, atol=1e-6):
            raise GanvasError(
                f"its {name} is not that of [1, 3, 3, 1], which StyleGAN2 in Ganvas has alone."
            )
    for key, (name, weight) in weights.items():
        shape = tuple(weight.shape[1:])
        array = _read_array(archive, key, original_shape(name, shape))
        weight.assign(to_kernel(name, array, shape)[None])


def original_name(name: str, is_generator: bool) -> str:
    """Return the name in PyTorch's state dict of a weight.

    Args:
        name: Name of the weight here.
        is_generator: Whether it is the generator's, and not the discriminator's.

    Example:
        >>> original_name("b8_conv0_affine_weight", is_generator=True)
        'synthesis.b8.conv0.affine.weight'
    """
    if name == "style_mean":
        return "mapping.w_avg"
    layer, tail = PARTS.split(name)[:2]
    prefix = "mapping." if MAPPING.match(name) else "synthesis." if is_generator else ""
    return f"{prefix}{layer.replace('_', '.')}.{tail}"


def original_shape(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape in PyTorch's state dict of a weight with a shape here."""
    if name.endswith("noise_strength"):
        return ()
    if name.endswith("noise_const"):
        return shape[:2]
    if name == "b4_const":
        return shape[2], *shape[:2]
    return (*shape[:1:-1], *shape[:2]) if len(shape) == 4 else shape[::-1]


def to_kernel(name: str, array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return a weight of PyTorch's as one of a network here.

    Kernels are (H, W, I, O) and not (O, I, H, W), matrices (I, O) and not (O, I), and maps have
    their channels last.

    Args:
        name: Name of the weight here.
        array: The weight in PyTorch's state dict.
        shape: Shape of the result.
    """
    if array.ndim == 4:
        array = array.transpose(2, 3, 1, 0)
    elif name == "b4_const":
        array = array.transpose(1, 2, 0)
    elif name == "b4_fc_weight":
        # The rows are the pixels of the smallest map, by channel there and by place here.
        array = array.reshape(shape[1], -1, 4, 4).transpose(2, 3, 1, 0)
    elif name.endswith("_weight"):
        array = array.T
    return array.reshape(shape)


def _read_array(archive: zipfile.ZipFile, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Read an array of finite floats; its shape is checked before its content is read."""
    with archive.open(f"{name}.npy") as stream:
        version = np.lib.format.read_magic(stream)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if read_header is None:
            raise GanvasError(f"its {name} has version {version} of NumPy's format.")
        found, _, dtype = read_header(stream)
    if dtype.kind != "f":
        kind = "Python objects" if dtype.hasobject else f"the type {dtype}"
        raise GanvasError(f"its {name} has {kind}, and not floats.")
    if found != shape:
        raise GanvasError(f"its {name} has the shape {found}, and not {shape}.")
    with archive.open(f"{name}.npy") as stream:
        array = np.lib.format.read_array(stream, allow_pickle=False).astype(np.float32)
    if not np.isfinite(array).all():
        raise GanvasError(f"its {name} has values that are no finite numbers.")
    return array
