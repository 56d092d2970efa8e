"""Fetching: a source's pictures from a hub to the raw folder."""
