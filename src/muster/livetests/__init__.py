"""Live-tests: an accepted version sees the requests of an endpoint beside the release that answers them.

Its answers are recorded and given to nobody. From the records the figures are counted that a gate asks for: errors, lateness,
disagreement with the answers that were given, shift of its outputs against champion and canaries. The room knows releases and the
archive; fronts know of a live-test only what a publication says. A replay of recorded requests could take its place where
nothing may run beside a release.
"""
