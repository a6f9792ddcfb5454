"""Bytes by their digest: the files of bundles, kept once however many versions hold them.

Knows the vocabulary and the storage it writes to, nothing of what the bytes mean. `local` keeps them in a folder, `s3`
in an object store; another content-addressed store could take their place by passing the same tests.
"""
