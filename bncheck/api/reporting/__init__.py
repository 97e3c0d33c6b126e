"""What becomes of a model and data that are open: measured, asked further, judged."""
