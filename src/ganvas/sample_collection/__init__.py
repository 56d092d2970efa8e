"""A small collection of pictures in eight styles, painted by this package itself from a seed."""

from ganvas.sample_collection.build_collection import STYLES, paint_collection, paint_picture

__all__ = ["STYLES", "paint_collection", "paint_picture"]
