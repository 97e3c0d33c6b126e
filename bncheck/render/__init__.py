"""Reports, repairs and differences become text here: one file per format. Characters live here, numbers in results."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
