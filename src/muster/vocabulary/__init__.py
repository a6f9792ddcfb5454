"""Words that every room shares: names, digests, states, time, request ids, the families of errors.

Knows nothing but the standard library. Nothing here could be replaced without renaming the product's concepts.
"""
