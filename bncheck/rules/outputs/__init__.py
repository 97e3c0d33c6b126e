"""What the model answers, whatever its layers see."""
