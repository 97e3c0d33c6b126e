"""What the nodes of an ONNX graph do to the moments of channels."""
