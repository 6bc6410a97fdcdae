"""Losses as modules; their forward changes no state."""
