"""The forms in which people hand batches over, and what is read of them."""
