"""Push: whom to message today."""
