"""Files of known vulnerabilities that projects have taken in, and which of their versions they hit.

A file is kept as it came, by its digest, and beside it one sheet per ecosystem, which certification reads. Knows the registry, the store
and the journal; what a vulnerability is, and whether a package has one, `scanning` says. Asks nobody outside: a file comes by hand.
"""
