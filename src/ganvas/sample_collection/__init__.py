"""A small collection of images in eight styles, painted by this package itself from a seed."""

from ganvas.sample_collection.build_collection import STYLES, paint_collection, paint_image

__all__ = ["STYLES", "paint_collection", "paint_image"]
