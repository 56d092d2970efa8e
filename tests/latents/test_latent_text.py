"""Latents as text: exact, of any length, and refused if they are none."""

import numpy as np
import pytest

from ganvas.latents.latent_text import decode_w, encode_w


@pytest.mark.parametrize("shape", [(1,), (5,), (2, 3), (18, 512)])
def test_text_holds_every_bit(shape):
    w = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    text = encode_w(w)
    np.testing.assert_array_equal(decode_w(text), w.ravel())
    # Safe in links and in the attributes of a page.
    assert text.replace("-", "").replace("_", "").isalnum()


def test_the_byte_order_is_little_endian():
    assert encode_w(np.array([1.0], ">f4")) == encode_w(np.array([1.0], "<f4")) == "AACAPw"


@pytest.mark.parametrize("text", ["", "A", "AACAP", "AACA", "AACA+w==", "AAC Pw", "é" * 8, "=" * 8])
def test_other_text_is_refused(text):
    with pytest.raises(ValueError, match="base64url"):
        decode_w(text)
