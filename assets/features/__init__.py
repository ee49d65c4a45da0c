"""Features: members by day, product and now."""
