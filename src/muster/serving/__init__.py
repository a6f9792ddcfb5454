"""The data plane: fronts that meet requests, the rendezvous, the keeper that owns the hosts.

Knows runtimes, archive, packaging and what they stand on; never the database, the journal or the registry. Plans and the access
list are all it learns from control. It reads top to bottom: `front` (HTTP), `endpoint` (one request's way), `batching`, `fanout`,
`rendezvous`, `recorder`, then `workers` (hosts and their keeper) and `policies`, then `plan` and `decisions`.
"""
