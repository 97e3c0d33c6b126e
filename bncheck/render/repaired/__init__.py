"""What the page of a repair says besides its outcome."""
