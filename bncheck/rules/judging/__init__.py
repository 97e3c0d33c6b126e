"""What several rules judge by, each piece once."""
