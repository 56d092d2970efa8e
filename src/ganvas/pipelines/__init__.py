"""Wiring: what flows from where to where; the work itself lies in the other packages."""
