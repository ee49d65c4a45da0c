"""A shop is one folder: shop.yaml, sources.yaml and campaigns.yaml, read into typed models."""
