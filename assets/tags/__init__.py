"""Tags: interests of products and members."""
