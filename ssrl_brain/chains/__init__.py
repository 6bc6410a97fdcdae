"""Several stages one after the other: run, planned, measured.

A chain is a YAML file; nothing here knows what a stage does.
"""
