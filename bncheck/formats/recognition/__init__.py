"""Telling what a file is by its content: whose format, or what people hand in by mistake."""
