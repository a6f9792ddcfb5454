"""What processes say about themselves: structured logs.

Knows the vocabulary only. Any collector of JSON lines can take it from here.
"""
