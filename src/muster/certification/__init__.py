"""Evidence that a version may be used: checks on the real host, certificates, and replay of recorded requests.

Knows the registry, sessions, packaging and runtimes; it starts hosts of its own and never touches one that serves. The state
of a version moves here from registered to certified, and nowhere else. Another laboratory could take its place, if it
gives each check a figure and a limit.
"""
