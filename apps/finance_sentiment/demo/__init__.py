"""What the demonstration runs on: labelled headlines of invented companies and an endless stream."""
