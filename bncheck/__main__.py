"""`python -m bncheck`, and the `bncheck` command."""

from bncheck.cli import main

if __name__ == "__main__":
    main()
