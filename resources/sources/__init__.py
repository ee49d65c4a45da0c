"""How records come in: finding files, reading lines, mapping columns, masking identifiers."""
