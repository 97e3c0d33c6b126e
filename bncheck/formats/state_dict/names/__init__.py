"""Names of tensors: how files spell them, and which of an architecture they mean."""
