"""Latents as text: for links, hidden fields of forms and the metadata of PNG files."""

import base64
import re

import numpy as np

ALPHABET = re.compile(r"[A-Za-z0-9_-]+")
MESSAGE = "text must be base64url of little-endian float32 numbers"


def encode_w(w: np.ndarray) -> str:
    """Encode an array of any shape as base64url of little-endian float32, without padding.

    The text does not hold the shape, which the generator's `w_shape` determines.

    Example:
        >>> encode_w(np.array([1.0, -2.5], np.float32))
        'AACAPwAAIMA'
    """
    content = np.ascontiguousarray(w, "<f4").tobytes()
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def decode_w(text: str) -> np.ndarray:
    """Decode the text of `encode_w`: float32 of shape (n,).

    Raises:
        ValueError: It is no such text; the message says so.

    Example:
        >>> decode_w("AACAPwAAIMA").tolist()
        [1.0, -2.5]
    """
    # A length of 4n + 1 characters is that of no bytes.
    if not ALPHABET.fullmatch(text) or len(text) % 4 == 1:
        raise ValueError(MESSAGE)
    content = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if len(content) % 4:
        raise ValueError(MESSAGE)
    return np.frombuffer(content, "<f4").astype(np.float32)
