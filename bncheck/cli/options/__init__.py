"""The options: declared once, read, and completed by the shell."""
