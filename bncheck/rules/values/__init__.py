"""Stored values that cannot be right, or that a precision cannot hold."""
