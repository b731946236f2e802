"""What can go wrong between a caller and the inference process. Codes are part of the protocol."""

from __future__ import annotations


class InferenceError(Exception):
    """The inference process refused or failed; ``code`` is stable, the message is for people."""

    def __init__(self, message: str, *, code: str = "internal_error") -> None:
        self.code = code
        super().__init__(message)


class Overloaded(InferenceError):
    """The queue is full; try again after ``retry_after`` seconds."""

    def __init__(self, message: str, *, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__(message, code="overloaded")


class ModelNotLoaded(InferenceError):
    """The model cannot be used: not there, damaged, outside the allowed directory, not loaded, too large for the
    memory that models may take, or what it says is not a number.

    ``code`` is "model_not_found", "model_damaged", "model_not_allowed", "model_not_loaded", "model_too_large",
    "model_failed" or "model_task" (of another task than what is asked).
    """


class InferenceUnavailable(InferenceError):
    """Nobody answers at the address, or the process is going down."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="unavailable")


class DeadlineExceeded(InferenceError):
    """No answer within the caller's time; the work was dropped."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="deadline_exceeded")


# The HTTP status of every code that the process answers with.
STATUS = {
    "bad_request": 400,
    "unauthorised": 401,
    "model_not_allowed": 403,
    "model_not_found": 404,
    "model_not_loaded": 404,
    "not_found": 404,
    "method_not_allowed": 405,
    "too_large": 413,
    "model_damaged": 422,
    "model_too_large": 422,
    "model_failed": 422,
    "model_task": 422,
    "overloaded": 429,
    "internal_error": 500,
    "unavailable": 503,
    "deadline_exceeded": 504,
}
