"""Files: which of them a run reads and must never write over, and how what it writes appears, whole or not at all."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
