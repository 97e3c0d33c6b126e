"""Reports and repairs for a person at a terminal."""
