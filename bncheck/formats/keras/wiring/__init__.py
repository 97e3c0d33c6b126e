"""What the layers of a Keras configuration do to the moments of channels."""
