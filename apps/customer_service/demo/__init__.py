"""A shop that the demonstration serves: what it knows, its past dialogues, and how they are set up."""
