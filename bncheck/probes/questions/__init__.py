"""The questions that probes ask, one file each; every file has its probe as `PROBE`, and is found without a list."""
