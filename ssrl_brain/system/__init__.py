"""The machine below: files that are whole or absent, ranks, signals, errors.

Nothing here knows of speech.
"""
