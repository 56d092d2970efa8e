"""How networks are trained: the step, its losses, the loop around it."""
