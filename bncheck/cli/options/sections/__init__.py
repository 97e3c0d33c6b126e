"""The options, a file for each section of the help."""
