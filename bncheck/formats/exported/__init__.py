"""Exported programs (`.pt2`)."""
