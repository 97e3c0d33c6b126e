"""Probes that change the input: its scale, the order of its channels."""
