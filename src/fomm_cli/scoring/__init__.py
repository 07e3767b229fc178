"""Score how well a result takes over the motion of its driving video."""
