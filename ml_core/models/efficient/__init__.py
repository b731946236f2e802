"""Parameter-efficient methods: what each adds to a frozen transformers model, one module a method."""
