"""Networks around the toolkit's encoders: heads, students, averages.

Encoders themselves are the toolkit's and are named in the YAML files.
"""
