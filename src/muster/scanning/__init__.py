"""What a bundle and its packages hold, read and never run: code that loads itself, secrets, licences, known vulnerabilities.

Everything here is a function of bytes: of files, of artefacts of packages, of a vulnerability file that somebody imported. It asks no
network and starts nothing. What cannot be read to its end counts as dangerous. Whoever trusts another scanner more replaces the
module of one format; the checks of `certification` see found things only.
"""
