"""Wiring: the ``Brain`` of each method, which joins losses, labels and epochs.

What can be written as a function of tensors does not belong here, nor what
reads users' folders.
"""
