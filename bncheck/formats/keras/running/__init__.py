"""Running a Keras model: built anew from its configuration by Keras' own classes, on PyTorch."""
