"""Plain words for results stand here, shared by the formats that people read."""
