"""Builds every part of a process and joins them; the only room that knows all the concrete classes.

`home` makes and opens a factory's folder, `factory` the services over a database, and one module per kind of process builds that
process: `control`, `executor`, `keeper`, `front`.
"""
