"""State dicts: finding the model in a checkpoint, fitting it into an architecture, writing it again."""
