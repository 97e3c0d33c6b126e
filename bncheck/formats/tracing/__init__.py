"""What the operators of torch programs do to the moments of channels."""
