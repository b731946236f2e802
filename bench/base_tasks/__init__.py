"""What an encoder knows before it is fine-tuned, and what that is worth after: a module a kind of measurement."""
