"""What a file shows by itself: its stored statistics beside those that its weights predict."""
