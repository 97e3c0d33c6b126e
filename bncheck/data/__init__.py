"""Data sources: one file per kind, preprocessing in one place."""
