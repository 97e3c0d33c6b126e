"""Running an ONNX model while its layers are watched: sessions on copies of its graph."""
