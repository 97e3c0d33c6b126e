from .case import Subject
from .runner import run_probes

__all__ = [
    "Subject",
    "run_probes",
]
