"""ONNX models: reading, taps, the runtime, stamps, and the writer."""
