"""Measure: what the messages achieved."""
