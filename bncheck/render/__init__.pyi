from .failure import failure_message
from .format import Format, Result, all_formats, format_of, known_suffixes, renderer
from .formats.csv import table_of
from .html import render_fragment
from .python import plain_text, plot, save
from .terminal.concise import count_by_code, print_concise, print_statistics
from .terminal.difference import print_difference
from .terminal.look import Look
from .terminal.repair_table import print_repair
from .terminal.report import print_audit, print_report
from .words.cells import count, printable
from .words.hidden import what_a_repair_hides
from .words.repair import training_words
from .words.training_input import how_fed

__all__ = [
    "Format",
    "Look",
    "Result",
    "all_formats",
    "count",
    "count_by_code",
    "failure_message",
    "format_of",
    "how_fed",
    "known_suffixes",
    "plain_text",
    "plot",
    "print_audit",
    "print_concise",
    "print_difference",
    "print_repair",
    "print_report",
    "print_statistics",
    "printable",
    "render_fragment",
    "renderer",
    "save",
    "table_of",
    "training_words",
    "what_a_repair_hides",
]
