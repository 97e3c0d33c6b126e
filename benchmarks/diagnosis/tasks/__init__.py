"""The same question for every kind of task, and what its advice is worth: `python -m benchmarks.diagnosis.tasks`."""
