"""Visualization of results: image grids, strips, curves, the report page and the model card."""
