"""The subcommands of ``python -m ml_core``: one module a command, with ``add(commands)`` and ``run(options)``."""
