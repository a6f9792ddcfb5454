"""The gRPC form of the scoring side: the Open Inference Protocol V2 with the semantics of its REST form.

Messages become the same checked tables, scores go the same way, errors are of the same families. Nothing here is imported
before a front really serves gRPC: see `opening`.
"""
