"""Folders that are a model: weights beside a description of the network."""
