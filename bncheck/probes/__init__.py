"""Probes: a few samples are run again, changed or in other batches, to name a cause that gaps alone cannot."""
