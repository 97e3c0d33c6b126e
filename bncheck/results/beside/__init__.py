"""What a report tells beside the layers and the findings: slices of the data."""
