"""Ingestion: from the folder of a source to a packed collection."""
