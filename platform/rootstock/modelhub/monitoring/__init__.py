"""What is worth knowing of a deployment while it works: pure functions of counts, no rows are written here."""
