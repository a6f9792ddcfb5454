"""The Python library that people import: `connect` opens a factory, `scorer` asks an endpoint.

Stands on `wire` and the vocabulary, on `packaging` to pack a folder, and on httpx to speak HTTP; it knows no service,
no database, no file of the factory but the token that lies in a home. The verbs are those of the CLI, the results the
documents of the control API. A client in another language could take its place: whatever it does goes over HTTP.
"""
