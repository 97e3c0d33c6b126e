"""What is watched at a normalization call: by what it normalizes, what it is fed, and the moments of that."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
