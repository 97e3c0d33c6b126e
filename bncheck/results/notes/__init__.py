"""Notes tell the reader how a report came about, as values: one class for every kind.

Other rooms import the kinds from the module of their subject; importing this loads all, so that every kind is known.
"""

from bncheck.results.notes import (
    of_acceptance,
    of_architectures,
    of_data,
    of_files,
    of_folding,
    of_measuring,
    of_outputs,
    of_pickles,
    of_repairing,
)
from bncheck.results.notes.codec import documents_of, notes_in, notes_of
from bncheck.results.notes.note import Note, OtherAcceptance, OtherNote, sentences

__all__ = [
    "Note",
    "OtherAcceptance",
    "OtherNote",
    "documents_of",
    "notes_in",
    "notes_of",
    "of_acceptance",
    "of_architectures",
    "of_data",
    "of_files",
    "of_folding",
    "of_measuring",
    "of_outputs",
    "of_pickles",
    "of_repairing",
    "sentences",
]
