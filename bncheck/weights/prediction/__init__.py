"""Stored statistics, predicted from the weights of the layer before."""
