"""Compare: finished evaluations side by side."""
