"""The ways to repair a model, one file each."""
