"""What outputs and labels say of each sample: scores, losses, and how two sets of them compare."""
