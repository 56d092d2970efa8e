"""Keras's types for annotations in modules that every command imports.

Keras and TensorFlow take seconds to import, so commands that run no network do without. Kedro
evaluates the annotations of all nodes to find the models of their parameters, so the names must
exist when the code runs too.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras import Model
else:
    Model = Any

__all__ = ["Model"]
