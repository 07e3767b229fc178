"""How well a result takes over the movement of its driving video."""
