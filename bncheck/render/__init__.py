"""Reports, repairs and differences become text here: one file per format. Characters live here, numbers in results."""

from bncheck.render.format import Format, Result, all_formats, format_named, format_of
from bncheck.render.format import format_named as renderer

__all__ = ["Format", "Result", "all_formats", "format_named", "format_of", "renderer"]
