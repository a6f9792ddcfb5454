"""Environments of models in any language: locked, fetched, built without a network, verified by hash, sealed for years.

A *language* says what its locks name, fetches those *parts* and builds a tree from them; the *shelf* keeps one read-only tree per identity
and proves that it is whole; a *seal* names every part in the store, so that the same tree can be built again when no registry answers.
Knows bundles, blobs and processes that build; knows nothing of hosts, versions, releases or the database. Another way to build (containers,
Nix) would be another set of languages and leave the shelf as it is.
"""
