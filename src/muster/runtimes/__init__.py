"""Runtimes: how a bundle becomes a process that answers.

Starts the host program inside a model's own environment, has it load bundles and fork one host per variant, and speaks
host protocol v1 with both. Knows environments and bundles only as an interpreter and a folder; knows nothing of requests,
releases or the database. Another language replaces `muster_host` and keeps the protocol.
"""
