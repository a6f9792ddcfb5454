"""Every execution of long work: a session has an id, a state, lines of progress and a result.

Knows storage and the vocabulary, not what the work is: kinds are words, subjects are text. Whoever asks for work queues a
session in the transaction that puts the wish on record; an executor claims it. A job queue with durable results could
take its place.
"""
