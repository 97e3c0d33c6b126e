"""Repairing a model: new statistics or weights, written into a file like the original, and proved."""
