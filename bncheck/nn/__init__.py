"""Batch Renormalization for PyTorch (Ioffe 2017, arXiv 1702.03275): the layers, their schedule, and conversions.

`to_batch_renorm` takes a network's BatchNorm layers to Batch Renormalization for a training whose batches are small or
no random sample, and `to_batch_norm` brings them back, with the same function of the inputs:

>>> import torch
>>> from bncheck.nn import RenormSchedule, to_batch_norm, to_batch_renorm
>>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8))
>>> trained = to_batch_renorm(net, schedule=RenormSchedule.for_run(steps=1000))
>>> trained[1]
BatchRenorm1d(8, eps=1e-05, momentum=0.01, affine=True, r_max=3.0, d_max=5.0)
>>> for _ in range(60):  # steps of your own training loop
...     output = trained(torch.randn(16, 4))
>>> type(to_batch_norm(trained)[1]).__name__
'BatchNorm1d'
"""

from bncheck.extras import extras_named

with extras_named("bncheck.nn"):
    from bncheck.nn.conversion import is_frozen, to_batch_norm, to_batch_renorm
    from bncheck.nn.renorm import BatchRenorm, BatchRenorm1d, BatchRenorm2d, BatchRenorm3d, std_of, var_of
    from bncheck.nn.schedule import ALWAYS_OPEN, BATCH_NORM_ONLY, RenormSchedule
    from bncheck.nn.synchronized import SyncBatchRenorm

__all__ = [
    "ALWAYS_OPEN",
    "BATCH_NORM_ONLY",
    "BatchRenorm",
    "BatchRenorm1d",
    "BatchRenorm2d",
    "BatchRenorm3d",
    "RenormSchedule",
    "SyncBatchRenorm",
    "is_frozen",
    "std_of",
    "to_batch_norm",
    "to_batch_renorm",
    "var_of",
]
