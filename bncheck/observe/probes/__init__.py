"""Questions put to the model on a few samples, once the passes have shown where to ask."""
