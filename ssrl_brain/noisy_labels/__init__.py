"""Which labels to trust: memories of losses, mixtures, gates.

Nothing here makes labels, or knows a true speaker.
"""
