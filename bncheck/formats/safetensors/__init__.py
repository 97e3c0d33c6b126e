"""Safetensors: one file, or an index and its shards."""
