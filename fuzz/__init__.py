"""Fuzzers of the command line: hostile files in, and nothing out that SECURITY.md and the contract do not allow.

`make fuzz` runs them for a while (`SECONDS=`, `CASES=`); `docs/fuzzing.md` says what a run found. A case is a folder
with files, one of them hostile, and a command that reads it. Hypothesis draws both, of two kinds: valid documents with
hostile values in them (`fuzz/formats/`), and valid files with bytes changed (`fuzz/mutation.py`). Every case runs
through bncheck's entry point and is judged by one oracle (`fuzz/oracle.py`), whatever it holds.
"""
