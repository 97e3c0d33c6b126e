"""Shared by all tests: one thread, so that figures repeat and busy machines do not stall in thread pools."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
