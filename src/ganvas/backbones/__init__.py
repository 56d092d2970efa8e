"""Networks that others have trained, with their weights from packages."""
