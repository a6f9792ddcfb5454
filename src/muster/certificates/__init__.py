"""Certificates once they are given: signed, exported, verified, watched until they end.

Stands above `certification`, which gives them, and below `release`. Knows where the factory's key lies and who else has keys; what is
live, and what a machine would build now, bootstrap tells it. A key management system could take the place of the file.
"""
