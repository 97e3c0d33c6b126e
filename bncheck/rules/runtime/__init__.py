"""How a model was exported, how it is run, and what could not be looked at."""
