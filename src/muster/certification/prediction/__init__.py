"""Checks of how well a version predicts what really happened, on rows that its author cannot change.

`judging` asks the version and makes predictions of its answers once; each check is a module. What is computed is defined in
the room `evaluation`, and nothing of it here.
"""
