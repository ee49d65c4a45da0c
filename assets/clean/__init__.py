"""Clean: what arrived, made trustworthy."""
