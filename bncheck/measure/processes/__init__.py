"""Several processes that share one reading: who reads what, and what they tell each other."""
