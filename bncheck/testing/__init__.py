"""For test suites: models whose statistics must describe their data, and formats that must keep bncheck's contract."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
