"""Ingestion: from a source's folder to a packed collection."""
