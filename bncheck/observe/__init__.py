"""Watching a model's normalization layers while data run through it; the model is never written to."""
