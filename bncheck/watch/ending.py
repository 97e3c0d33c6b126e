"""Ending a forward as soon as the layers of interest have been seen."""

from __future__ import annotations

from collections.abc import Collection

from bncheck.core import Moments, NormLayer, SampleMoments
from bncheck.errors import UnwindingError
from bncheck.watch.elsewhere import MomentsElsewhere, on_host
from bncheck.watch.recorder import Recorder
from bncheck.watch.sites import Site


class LastSiteSeenError(UnwindingError):
    """Unwinds a forward."""


class Ending(Recorder):
    """Passes on to `recorder` what the calls see, until each of `sites` was seen; then the forward ends.

    Attributes:
        done: whether it has ended it.

    Raises:
        LastSiteSeenError: at the last of the sites.
    """

    def __init__(self, recorder: Recorder, sites: Collection[Site]) -> None:
        super().__init__(per_sample=False)
        self._recorder = recorder
        self._left = set(sites)
        self.done = False

    def queue(self, site: Site, layer: NormLayer, seen: MomentsElsewhere, samples: int) -> None:
        """Take in one call at once: the forward may end here."""
        self.take(site, layer, on_host([seen])[0], samples)

    def take(self, site: Site, layer: NormLayer, table: SampleMoments, samples: int) -> Moments:
        """Take in one call."""
        moments = self._recorder.take(site, layer, table, samples)
        self._left.discard(site)
        self.done = not self._left
        if self.done:
            raise LastSiteSeenError
        return moments
