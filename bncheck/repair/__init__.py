"""The repair of a model: new statistics or weights, written into a file like the original, judged on unseen data."""
