"""What all torch programs share: modules, TorchScript and exported graphs."""
