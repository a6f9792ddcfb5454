"""The command line: doors for people (tables, progress) and for programs (`--json`, exit codes).

Speaks to a factory through `client`, as anybody else would; only what works on a folder in the lab, makes a home or starts
processes calls the rooms below. Every command is a module of `commands` that is imported when it is called, so that
`muster` starts fast. Any other client of the REST API could take its place.
"""
