"""Running a torch program on batches."""
