"""Modules out of pickles that were read as data: what a placeholder tells of one, as a module again."""
