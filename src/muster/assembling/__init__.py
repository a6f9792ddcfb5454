"""The lab's door for models in any language: sources and some rows become a bundle, as `muster.save` makes one of a fitted object.

The author gives a folder (a few lines of muster.toml, the model, its code) and rows; the contract is inferred, the language's helper
and lock are put beside it, the environment is built, and the golden answers are computed by the real host, twice. Knows packaging,
environments and runtimes; no factory, no database, no release. Folders that other tools save (MLflow) come in through the same door.
"""
