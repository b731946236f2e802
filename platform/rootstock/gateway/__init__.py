"""Asking models from outside: OpenAI's protocol, predictions by deployment, and connections to other servers."""
