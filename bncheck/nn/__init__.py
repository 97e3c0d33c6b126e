"""Batch Renormalization layers (Ioffe 2017, arXiv 1702.03275), and the conversions from and to BatchNorm."""
