"""How good predictions are, by one definition of each figure: metrics, cut-offs, curves, intervals, fairness, importance.

Pure: arrays of labels and predictions come in, numbers go out; NumPy and nothing else, no model, no file, no clock. Whoever has
labels and predictions can use it: certification today, watching and experiments as well. Another library of metrics could take
its place, if it says which version of which definition a figure is, and refuses what is not defined.
"""
