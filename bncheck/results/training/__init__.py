"""What is known of a training from its outcome."""
