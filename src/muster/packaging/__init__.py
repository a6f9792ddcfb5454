"""How a model leaves the lab: bundle, manifest, contract, golden set, environment.

Everything here works on folders and bytes: no database, no service, no network but what uv needs. It knows the wire's
documents and the vocabulary; registry, runtimes, serving and the command line stand on it. `save` is the door for data
scientists; `contract` is the one part on the way of every request. Another packaging format could replace it, if it
names every file by digest and locks the environment as exactly.
"""
