"""The audit journal: who did what to what, when, why; append-only, hash-chained, in the caller's transaction.

Knows storage and the vocabulary. Every service that changes state appends here inside its own transaction. A
transparency log could take its place.
"""
