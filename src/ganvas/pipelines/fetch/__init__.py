"""Fetching: a source's images from a hub to the raw folder."""
