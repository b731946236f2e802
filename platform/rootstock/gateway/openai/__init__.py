"""OpenAI's wire format, under /api/openai/v1/."""
