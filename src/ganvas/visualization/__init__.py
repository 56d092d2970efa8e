"""How results are shown: grids, strips, curves and the report page."""
