"""From files to batches: tables, crops, augmentation, samplers.

``prepare`` reads users' folders; nothing here knows a network.
"""
