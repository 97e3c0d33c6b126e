"""What can be chosen, as frozen typed values: defaults are stated and ranges checked here, once for every edge."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
