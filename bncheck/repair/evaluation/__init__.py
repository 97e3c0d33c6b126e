"""Whether a repair made the model better, on samples that the repair has not seen."""
