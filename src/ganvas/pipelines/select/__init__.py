"""The select pipeline: models of a kept epoch."""
