"""Settings of a layer that training or inference trips over."""
