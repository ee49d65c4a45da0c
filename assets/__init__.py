"""What exists: one package per stage, in the order of the data."""
