"""Download: from a hub to the raw folder of a source."""
