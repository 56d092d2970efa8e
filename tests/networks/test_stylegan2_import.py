"""Weights of NVIDIA's StyleGAN2-ADA compute here what they do there."""

import json
import zipfile

import numpy as np
import pytest

from ganvas.errors import GanvasError
from ganvas.networks.stylegan2_import import import_stylegan2, read_weights
from stylegan2_exports import make_networks, write_export

# Outputs of stylegan2-ada-pytorch (force_fp32, noise_mode=const) for the weights of the formula:
# pixels (5, 7) of the first image and (30, 1) of the last, pixel (16, 16) of the second one at
# truncation 0.5, and the logits.
GOLDEN = {
    0: (
        [1.5016258, 1.3610191, 0.6610675],
        [2.6528986, 3.6864190, -0.1477378],
        [1.6861081, 5.3735628, 2.5652013],
        [0.8609786, 0.8548642, 0.8885731, 1.0722504],
    ),
    3: (
        [0.9162682, 3.7461452, 1.6689918],
        [3.8877795, 4.6191025, 0.7935150],
        [0.8047025, 4.4275360, 2.7279329],
        [0.01967199, 0.01410570, 0.00969509, 0.02411930],
    ),
}


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    return import_stylegan2(write_export(tmp_path_factory.mktemp("export") / "plain.npz"))


@pytest.mark.parametrize("classes", [0, pytest.param(3, marks=pytest.mark.slow)])
def test_images_and_logits_are_those_of_the_original(tmp_path, imported, classes):
    if classes:
        file = write_export(tmp_path / "classes.npz", make_networks(classes))
        imported = import_stylegan2(file)
    generator, discriminator = imported.networks[:2]
    latents = np.sin(np.arange(24).reshape(4, 6) * 1.3)
    images = np.sin(np.arange(4 * 32 * 32 * 3).reshape(4, 32, 32, 3) ** 1.1 * 0.37)
    images *= np.array([0.2, 0.6, 1, 1.5])[:, None, None, None]
    labels = [np.eye(3)[[0, 1, 2, 0]]] if classes else []
    psi = generator.get_layer("truncation").kernel
    made = np.array(generator([latents, *labels] if labels else latents))
    psi.assign(np.full(psi.shape, 0.5))
    truncated = np.array(generator([latents, *labels] if labels else latents))
    psi.assign(np.ones(psi.shape))
    logits = np.array(discriminator([images, *labels] if labels else images))
    first, last, middle, expected = GOLDEN[classes]
    np.testing.assert_allclose(made[0, 5, 7], first, rtol=1e-4)
    np.testing.assert_allclose(made[3, 30, 1], last, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(truncated[1, 16, 16], middle, rtol=1e-4)
    np.testing.assert_allclose(logits[:, 0], expected, rtol=1e-3, atol=1e-6)


def test_parameters_are_those_that_build_the_networks(imported):
    assert imported.image_shape == (32, 32, 3) and imported.classes == 0
    assert imported.source == "formula.pkl"
    assert imported.list_parameters() == {
        "network.name": "stylegan2",
        "network.stylegan2.latent": 6,
        "network.stylegan2.style": 8,
        "network.stylegan2.mapping_layers": 2,
        "network.stylegan2.channel_base": 256,
        "network.stylegan2.max_width": 16,
        "network.stylegan2.noise": True,
    }


@pytest.mark.parametrize(
    ("part", "section", "key", "value", "message"),
    [
        (0, "synthesis_kwargs", "architecture", "resnet", "has architecture='resnet', and"),
        (0, "synthesis_kwargs", "resample_filter", [1, 1], r"resample_filter=\[1, 1\]"),
        (0, "synthesis_kwargs", "use_noise", False, "use_noise=False"),
        (0, "mapping_kwargs", "lr_multiplier", 0.1, "lr_multiplier=0.1"),
        (0, "mapping_kwargs", "num_layers", 40, "mapping_layers is 40"),
        (0, "mapping_kwargs", "depth", 2, "with depth, an argument"),
        (0, None, "synthesis_kwargs", 3, "synthesis_kwargs are no dictionary"),
        (0, None, "img_resolution", 96, "a side of 96 pixels"),
        (0, None, "img_resolution", 2048, "a side of 2048 pixels"),
        (0, None, "img_channels", 2, "2 channels"),
        (0, None, "z_dim", 0, "latent is 0"),
        (0, None, "c_dim", 2, "c_dim=2 and its discriminator 0"),
        (0, None, "c_dim", "2", "number of classes"),
        (0, None, "model", "stylegan3", "with model, an argument"),
        (1, None, "architecture", "skip", "discriminator's architecture is 'skip'"),
        (1, None, "channel_base", 512, "channel_base=256 and its discriminator 512"),
        (1, "epilogue_kwargs", "mbstd_num_channels", 2, "mbstd_num_channels=2"),
        (1, "block_kwargs", "activation", "relu", "activation='relu'"),
    ],
)
def test_other_configurations_are_refused_before_anything_is_built(
    tmp_path, part, section, key, value, message
):
    networks = make_networks()
    arguments = networks[part].init_kwargs
    arguments = arguments[section] if section else arguments
    arguments[key] = value
    file = write_export(tmp_path / "odd.npz", networks)
    with pytest.raises(GanvasError, match=message) as error:
        import_stylegan2(file)
    assert str(error.value).startswith(f"{file} can't be imported: its ")
    assert str(error.value).endswith(".") and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"b8.conv0.weight": None, "b4.fc.bias": None}, r"lacks .*/b4\.fc\.bias, .*/b8\.conv0\.we"),
        ({"b8.conv2.weight": np.zeros(3)}, r"unknown arrays: discriminator/b8\.conv2\.weight\."),
        ({"b4.fc.bias": np.zeros(4)}, r"b4\.fc\.bias has the shape \(4,\), and not \(16,\)\."),
        ({"b4.fc.bias": np.full(16, np.nan)}, "no finite numbers"),
        ({"b4.fc.bias": np.zeros(16, int)}, "has the type int64, and not floats"),
        ({"b4.fc.bias": np.array([None] * 16)}, "has Python objects, and not floats"),
        ({"b8.conv1.resample_filter": np.ones((4, 4))}, r"is not that of \[1, 3, 3, 1\]"),
    ],
)
def test_wrong_arrays_are_refused(tmp_path, imported, change, message):
    networks = make_networks()
    for name, array in change.items():
        networks[1].tensors[name] = array
        if array is None:
            del networks[1].tensors[name]
    file = write_export(tmp_path / "wrong.npz", networks)
    with zipfile.ZipFile(file) as archive, pytest.raises(GanvasError, match=message):
        read_weights(archive, imported.networks.discriminator)


def test_what_is_no_export_is_refused(tmp_path):
    good = write_export(tmp_path / "good.npz").read_bytes()

    def refused(content: bytes | None) -> str:
        file = tmp_path / "bad.npz"
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(GanvasError) as error:
            import_stylegan2(file)
        return str(error.value).replace(str(file), "FILE")

    assert refused(None) == "There is no file FILE: make it by tools/export_stylegan2.py."
    assert refused(good[: len(good) // 2]).startswith("FILE is no complete .npz file")
    assert refused(b"\x80\x04pickle").startswith("FILE is no complete .npz file: it may be a")
    # A flipped bit in the configuration.
    place = good.index("img_resolution".encode("utf-32-le"))
    assert refused(good[:place] + b"X" + good[place + 1 :]).startswith(
        "FILE can't be read (Bad CRC"
    )
    for config in (None, "[]", "{", json.dumps({"format": "stylegan3", "version": 1})):
        arrays = {} if config is None else {"config": config}
        np.savez(tmp_path / "bad.npz", other=np.zeros(2), **arrays)
        assert "'config'" in refused(None)
    whole = {"format": "stylegan2-ada", "version": 9, "generator": {}, "discriminator": {}}
    np.savez(tmp_path / "bad.npz", config=json.dumps(whole | {"source": ""}))
    assert "version 9, and this version of Ganvas reads" in refused(None)
    np.savez(tmp_path / "bad.npz", config=np.array([{}], object))
    assert "can't be read" in refused(None)


def test_a_file_with_less_leaves_the_script_s_earlier_one(tmp_path):
    file = write_export(tmp_path / "good.npz")
    before = file.read_bytes()
    networks = make_networks()
    networks[1].tensors["b4.fc.bias"] = "no array"
    networks[1].init_kwargs["architecture"] = object()
    with pytest.raises(TypeError, match="JSON"):
        write_export(file, networks)
    assert file.read_bytes() == before and list(tmp_path.iterdir()) == [file]
