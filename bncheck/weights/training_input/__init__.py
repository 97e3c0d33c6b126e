"""What a network was fed in training, from its first convolution and the norm behind it (docs/training-input.md)."""
