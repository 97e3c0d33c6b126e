"""Parts: what the passes over a shard of the data collected, as a file, and how such files are put together."""
