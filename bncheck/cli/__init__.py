"""The command line: one file per command. Nothing slow is imported until a command needs it."""
