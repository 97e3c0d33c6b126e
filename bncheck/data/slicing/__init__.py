"""Slices of the data: which of them each sample belongs to, by a column or by code of the user's."""
