"""How batches are drawn, how large they are, and what the model makes of it."""
