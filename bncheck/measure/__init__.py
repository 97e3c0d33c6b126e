"""The passes over the data, and what they come to: every layer as measured."""
