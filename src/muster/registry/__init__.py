"""Models and their versions: what was registered, in which state it is, and its sealed bytes.

A version is a bundle under a number; the bundle's files lie in the blobs, what is asked often lies in the database. Knows
packaging, blobs, access and the journal. It does not know what versions are used for: whoever uses them says so through
`uses.VersionUses`. Another catalogue of models could take its place.
"""
