"""Recommend: models of taste and their lists."""
