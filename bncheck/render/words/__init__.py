"""What reports and repairs say in plain words; shared by the formats that people read."""
