"""The loop: dialogues come in, pairs and unanswered questions come out, models are taught by both."""
