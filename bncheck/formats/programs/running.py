"""The place where rooms above still look for progress and runners."""

from bncheck.formats.programs.runner import Runner
from bncheck.progress import Progress, no_progress

__all__ = ["Progress", "Runner", "no_progress"]
