"""What the rules judge by, as values: everything that was observed, and nothing that was concluded."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
