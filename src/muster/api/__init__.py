"""The control API over HTTP: `/api/v1`, for the client, the CLI, the fronts and any other program.

Decides nothing: it decodes, identifies the caller, calls one service and encodes what comes back. It knows the services
of every room by the frozen tree `Services` that bootstrap hands it, and nothing of SQL, files or processes. Documents
are those of `wire.control`, errors are problem details (RFC 9457). Another web framework could take Litestar's place:
only this room has heard of it.
"""
