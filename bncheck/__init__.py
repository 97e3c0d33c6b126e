"""bncheck: do the statistics stored in a model's normalization layers describe the data it runs on?

>>> import torch, bncheck
>>> model = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4))
>>> report = bncheck.inspect(model, torch.randn(200, 1, 8, 8))
>>> report.layers[0].name, report.layers[0].status
('1', 'measured')
"""

from bncheck.extras import attached

__version__ = "0.2.0.dev0"
__getattr__, __dir__, __all__ = attached(__name__, __file__)
