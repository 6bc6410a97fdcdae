"""Brains: which batch goes through which network, at which moment."""
