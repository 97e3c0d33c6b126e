"""For test suites: models whose statistics must describe their data, and formats that must keep bncheck's contract."""

from bncheck.extras import attached

__getattr__, __dir__, __all__ = attached(__name__, __file__)
