"""Where documents come from: sources, polling them, what they send, and what cannot be taken in."""
