"""Where batches come from: one file per kind of source."""
