"""Metrics of generated images, as functions of plain arrays."""
