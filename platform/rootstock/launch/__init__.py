"""What `script/*` run: set-up, builds, and the supervisor of all processes.

`bootstrap`, `phases` and `frontend` use the standard library only: they run before anything is installed.
"""
