"""Statistics that were updated more often than they should."""
