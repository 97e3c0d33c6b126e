"""A person at a terminal reads reports, repairs and differences here."""
