"""Stored statistics that do not describe the data, in one layer or in many."""
