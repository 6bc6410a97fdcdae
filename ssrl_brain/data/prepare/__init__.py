"""Reads users' folders and makes tables, trial lists and audio banks.

Training reads what is made here, and never a folder that it has not checked.
"""
