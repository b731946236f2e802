"""The first stage of a foundation model's life: corpora, vocabularies, and recipes that train a base from them."""
