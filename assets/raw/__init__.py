"""Raw: what arrived."""
