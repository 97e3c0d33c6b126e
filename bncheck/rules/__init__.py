"""The rules: from the evidence to findings. They never see a model.

One file for each code with its page beside it, in folders by subject; `catalogue` finds them, `findings` asks them.
What more than one of them needs stands in `judging`. Importing this room loads neither numpy nor any rule's module.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
