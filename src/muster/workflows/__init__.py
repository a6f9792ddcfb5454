"""Long work: the executor that claims sessions and runs them, one after another, and does the chores in between.

Holds order and recovery, no rules of its own: what a session's kind means is a handler that bootstrap hands in. A workflow
engine could take its place, if work that was begun is never lost without a word.
"""
