"""Slices of the data, in the same pass: what is added up of each, and what it comes to."""
