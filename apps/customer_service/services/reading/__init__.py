"""From the bytes of a file or page to blocks of text: one module a format, none of which knows the database.

The readers run in a process of their own (`program`, started by `process`), with a limit of memory and time: a file
that crashes a parser is that file's problem and nobody else's. What is wrong is said as a text that can be
translated and the values in it.
"""
