"""How generators are judged."""
