"""Speed and memory, measured as ratios to a baseline interleaved in the same run."""
