"""Rules and gazetteers."""
