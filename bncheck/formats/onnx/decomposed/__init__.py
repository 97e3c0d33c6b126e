"""Normalization that an exporter wrote as Sub, Div, Mul and Add with constants, put together again."""
