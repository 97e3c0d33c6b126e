"""bncheck inside a training run: a monitor for plain loops, and callbacks for the frameworks, imported on use."""
