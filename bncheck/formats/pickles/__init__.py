"""Checkpoints that are pickles, read without trusting them."""
