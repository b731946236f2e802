"""One report a kind of task: a frozen dataclass and the function that builds it from plain arrays
and lists."""
