"""With what the pipeline works: warehouse, vault, sources, configuration, model store."""
