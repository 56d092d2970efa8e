"""Reporting: what a run made, on one page."""
