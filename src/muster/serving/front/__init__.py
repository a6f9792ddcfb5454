"""The scoring side's door: HTTP in, HTTP out, nothing decided.

`app` is a plain ASGI application, `tokens` says who may call, `v2` and `records` turn the two request forms into columns and answers
back into bodies, `follow` keeps plans and access list up to date. The gRPC service of the same protocol has its place beside `v2`.
"""
