"""The verbs: convert, train, label, verify, report, publish.

Each takes a command line; what they do is done in the rooms below.
"""
