"""Statements that can be checked without the factory that made them: DSSE envelopes over in-toto statements, signed with Ed25519.

Pure, and low: knows the vocabulary and the library of cryptography, neither certificates as the factory keeps them nor where keys lie.
Another format of signed statements could take its place, if public tools that are not ours verify it.
"""
