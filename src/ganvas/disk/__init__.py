"""What takes space below data/, what of it must stay, and how the rest is deleted."""
