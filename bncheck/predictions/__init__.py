"""What outputs and labels say of each sample: scores, losses, and how two sets of them compare.

`outputs` reads what a model returns and `labels` checks what it is compared with; `tasks` holds one file per kind of
task; the rest accumulates, batch by batch, sums that merge: `PredictionEffect` is the whole of it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
