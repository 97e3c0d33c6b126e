"""The formats that results are written in: one file each, found without a list by its `FORMAT`.

What is slow to load (pandas, numpy, matplotlib, jinja2) is imported by the functions that need it: looking for a format
reads the top of every file.
"""
