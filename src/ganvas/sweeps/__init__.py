"""Sweeps: many runs by one command, for several values or seeds, or for a search of the best."""
