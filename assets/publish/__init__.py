"""Publish: what analysts read."""
