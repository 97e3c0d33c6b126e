"""The order of things: a model and data in, a report, a repair or a comparison out; no arithmetic."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
