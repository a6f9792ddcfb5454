"""Evaluation sets: rows with what really happened, sealed for a model by somebody who has no part in it.

Knows the registry (whose model it is, and what its versions take), packaging (contracts and columns) and the store. A set is
numbered and never changed; the newest counts. The authors of a model never see its rows: they learn figures. The store holds a
set behind a random salt, so that its digest, which everybody may know, names no blob that a bundle could ask for. A warehouse
of labelled data could take its place, if it keeps what it once gave out.
"""
