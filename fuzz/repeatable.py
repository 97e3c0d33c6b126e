"""Draws that a seed alone decides: Hypothesis takes some from whatever modules happen to be loaded."""

from __future__ import annotations

from hypothesis.internal.conjecture import providers


def draw_by_seed_alone() -> None:
    """Keep Hypothesis from the constants of loaded modules.

    One draw in forty is a string or a number that stands in the code of a module of ours. Which modules are loaded
    depends on what ran before, in tests on what else a worker was given: the same seed drew other cases on another
    machine. No setting leaves them out.
    """
    if hasattr(providers, "_get_local_constants"):
        none = providers.Constants()
        providers._get_local_constants = lambda: none
        providers.CONSTANTS_CACHE.cache.clear()
