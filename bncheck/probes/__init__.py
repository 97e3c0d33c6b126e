"""Probes: a few samples are run again, changed or in other company, to name a cause that gaps alone cannot."""
