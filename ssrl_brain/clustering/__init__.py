"""Offline and online clustering."""
