"""The host: the few files that run a model inside the model's own environment.

Standard library only, Python 3.8 or later, NumPy and pandas where the environment has them. It imports nothing of
Muster; Muster imports the frame codec from here, so that it exists once.
"""
