from .failure import failure_message
from .format import Format, Result, all_formats, format_of, renderer
from .formats.csv import table_of
from .html import render_fragment
from .python import plain_text, plot, save
from .terminal.difference import print_difference
from .terminal.repair_table import print_repair
from .terminal.report import print_audit, print_report, print_verdict
from .words.cells import count, printable
from .words.hidden import what_a_repair_hides
from .words.repair import training_words

__all__ = [
    "Format",
    "Result",
    "all_formats",
    "count",
    "failure_message",
    "format_of",
    "plain_text",
    "plot",
    "print_audit",
    "print_difference",
    "print_repair",
    "print_report",
    "print_verdict",
    "printable",
    "render_fragment",
    "renderer",
    "save",
    "table_of",
    "training_words",
    "what_a_repair_hides",
]
