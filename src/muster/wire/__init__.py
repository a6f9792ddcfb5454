"""Documents that cross a process border, as msgspec structs, each format with its number.

Knows only the vocabulary. `contracts` and `plans` are the bridge from control to fronts, `records` what the archive
holds, `inference` the Open Inference Protocol V2, `control` the REST API's documents, `problems` its errors.
"""
