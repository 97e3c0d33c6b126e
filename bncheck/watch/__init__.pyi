from .call_moments import CallMoments, together
from .counted import CountedSession, Ledger
from .elsewhere import MomentsElsewhere, lies_elsewhere, sent
from .ending import Ending, LastSiteSeenError
from .kernels import BLOCK, CANCELLATION, batch_moments, positions_of, sample_moments
from .keys import sample_keys
from .policies import BATCH, STORED, Batch, ByInstance, Given, Policy, Statistics, Stored
from .randomness import accelerators
from .recorder import TABLE_BYTES, Recorder
from .remembered import RememberedCall, RememberedRecorder
from .rows import Rows
from .session import Session
from .sites import Site
from .sliced import RememberedSlicedCall, SlicedCall, SlicedCalls, SlicingRecorder

__all__ = [
    "BATCH",
    "BLOCK",
    "CANCELLATION",
    "STORED",
    "TABLE_BYTES",
    "Batch",
    "ByInstance",
    "CallMoments",
    "CountedSession",
    "Ending",
    "Given",
    "LastSiteSeenError",
    "Ledger",
    "MomentsElsewhere",
    "Policy",
    "Recorder",
    "RememberedCall",
    "RememberedRecorder",
    "RememberedSlicedCall",
    "Rows",
    "Session",
    "Site",
    "SlicedCall",
    "SlicedCalls",
    "SlicingRecorder",
    "Statistics",
    "Stored",
    "accelerators",
    "batch_moments",
    "lies_elsewhere",
    "positions_of",
    "sample_keys",
    "sample_moments",
    "sent",
    "together",
]
