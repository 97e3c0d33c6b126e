"""bncheck: do the statistics stored in a model's normalization layers describe the data it runs on?"""

__version__ = "0.1.0"
