"""How people get a token by themselves: a password, or an identity that an OpenID provider vouches for.

A part of the room `access`. It makes nothing that identifies but ordinary tokens, which expire, so whatever else asks who
calls knows nothing of it. It knows users, tokens and the journal; of the doors it is told the caller's address and nothing
more. Nothing else in the room knows it: without it, a factory has tokens that admins give out.
"""
