"""The ways to repair a model, one file each; they are found by looking into this folder.

A further method is one file that offers `METHOD`, see `bncheck.repair.methods.method`.
"""

from __future__ import annotations

import math
import sys
from functools import cache

from bncheck.discovery import modules_in
from bncheck.errors import UsageError, not_one_of
from bncheck.repair.methods.method import Method, MethodOptions
from bncheck.vocabulary import argument


@cache
def methods() -> dict[str, type[Method]]:
    """Every method, by its name: first what asks least of the user, last what trains."""
    known = [module.METHOD for module in modules_in(sys.modules[__name__]) if hasattr(module, "METHOD")]
    known.sort(key=lambda method: (not method.cross_fits, not method.learns, method.takes_prior, method.name))
    return {method.name: method for method in known}


def method_named(name: str, options: MethodOptions) -> Method:
    """The method of that name.

    Raises:
        UsageError: there is none, or an option is wrong for it.
    """
    if name not in methods():
        raise not_one_of("method", name, methods())
    method = methods()[name]
    if options.prior is not None and not (method.takes_prior and 0 <= options.prior < math.inf):
        weighing = " or ".join(other.name for other in methods().values() if other.takes_prior)
        raise UsageError(
            f"{argument('prior')} {options.prior:g}: a number of samples from 0, for {argument('method', weighing)} "
            "alone."
        )
    if not 0 <= options.until < math.inf:
        raise UsageError(
            f"{argument('until')} {options.until:g}: an error in standard deviations, like 0.01; 0 reads all data."
        )
    return method(options)
