"""Statistics that are absent or were never learned."""
