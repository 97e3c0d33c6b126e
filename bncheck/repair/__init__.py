"""Repairs: Batch Renormalization, recalibration, and the proof that they helped."""
