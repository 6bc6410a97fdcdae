"""Losses of the papers, one value per utterance.

They read their state and never move it; weights and means are the Brains'.
"""
