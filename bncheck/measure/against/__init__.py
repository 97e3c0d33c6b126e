"""This run beside an earlier one, whose moments were kept in a file."""
