"""Which normalization layer's output feeds which other, and through what: a model's graph without its format."""
