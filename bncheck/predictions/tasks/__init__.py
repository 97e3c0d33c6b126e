"""The kinds of tasks, one module each that offers `TASK`; they are found by looking into this folder.

A further kind is one file here. A task is recognised by what outputs and labels look like, or chosen by its name.
"""

from __future__ import annotations

import sys
from functools import cache

from bncheck.discovery import modules_in
from bncheck.errors import not_one_of
from bncheck.predictions.tasks.task import Task
from bncheck.tensors import torch


@cache
def tasks() -> dict[str, Task]:
    """Every kind of task, by its name."""
    known = [module.TASK for module in modules_in(sys.modules[__name__]) if hasattr(module, "TASK")]
    return {task.name: task for task in known}


def task_named(name: str) -> Task:
    """The kind of task of that name.

    Raises:
        UsageError: there is none.

    >>> task_named("classes").score_name
    'accuracy'
    """
    if name not in tasks():
        raise not_one_of("task", name, tasks())
    return tasks()[name]


def recognised(outputs: torch.Tensor, labels: torch.Tensor | None) -> Task | None:
    """The kind of task that outputs and labels look like, settled by them; `None` where they look like none.

    At most one kind fits, so the order in which they are asked does not matter.

    >>> recognised(torch.randn(4, 10), torch.tensor([3, 1, 9, 0])).name
    'classes'
    >>> recognised(torch.randn(4, 10), torch.randn(4, 10)).name
    'numbers'
    """
    if outputs.dim() == 0 or not outputs.numel():
        return None
    if labels is not None and (labels.is_complex() or labels.dim() == 0 or len(labels) != len(outputs)):
        return None
    fitting = next((task for task in tasks().values() if task.fits(outputs, labels)), None)
    return None if fitting is None else fitting.settled(outputs, labels)
