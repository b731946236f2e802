"""From what people say of documents to models that have learned it: labels, candidates, rows, cycles."""
