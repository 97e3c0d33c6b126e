"""Modules handed over in Python, or pickled whole."""
