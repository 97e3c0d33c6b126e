"""The order of things: a model and data in, a report, a repair or a comparison out; no arithmetic."""
