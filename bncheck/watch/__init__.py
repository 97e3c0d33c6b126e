"""What is watched at a normalization call: by what it normalizes, what it is fed, and the moments of that."""
