"""What an inspection, a repair or a comparison found, as values."""
