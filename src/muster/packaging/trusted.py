"""The types beyond skops' own list that a model file may hold, each reviewed.

skops builds nothing but what it knows and what it is told to trust. A bundle may ask for a type of this list and no
other, so that a file from the lab never decides by itself what code runs when it is loaded. To add a type: read its
`__reduce__`, `__setstate__` and constructor, be sure that no argument can name a callable, a module or a file, and
write down why.

What this does not promise: compiled types (trees, neighbour indexes) trust the numbers inside them, so a forged file can
still crash or mislead its own host process. That is what the host's process border is for.
"""

from collections.abc import Iterable

_TREE_STATE = (
    "Compiled; rebuilt from numbers of outputs and classes and from node and value arrays, whose dtype and shape "
    "__setstate__ checks. Holds no object but arrays."
)
_NEIGHBOUR_STATE = (
    "Compiled; its state is arrays, numbers and one of the distance metrics below. Calls nothing but that."
)
_METRIC_STATE = "Compiled; a metric with fixed code and an optional array of weights."
_KERNEL = "A kernel of a Gaussian process: numbers, bounds, and other kernels, each itself on this list. Fixed code."
_SCORE = "A function of two arrays with fixed code; it is only kept as a setting, and called with arrays when fitting."
_LOSS = "A loss with fixed code: numbers, a link and an interval, no callable of the file's choosing."

#: Type → why it is safe to build from a file that one does not trust.
REVIEWED_TYPES: dict[str, str] = {
    "numpy.dtype": "Rebuilt from a type string and a version tuple; builds no object and calls nothing.",
    "scipy.sparse._csr.csr_matrix": "Three arrays and a shape.",
    "scipy.sparse._csc.csc_matrix": "Three arrays and a shape.",
    "sklearn._loss.loss.HalfTweedieLossIdentity": _LOSS,
    "sklearn.calibration._CalibratedClassifier": "Plain attributes: an estimator, its calibrators and class labels.",
    "sklearn.calibration._SigmoidCalibration": "Two numbers.",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor": (
        "Plain attributes: node array and two bitset arrays. __setstate__ only converts the dtype of nodes."
    ),
    "sklearn.feature_selection._univariate_selection.chi2": _SCORE,
    "sklearn.feature_selection._univariate_selection.f_classif": _SCORE,
    "sklearn.feature_selection._univariate_selection.f_regression": _SCORE,
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace": (
        "Plain attributes of a fitted estimator: arrays, a kernel, the name of an optimiser."
    ),
    "sklearn.gaussian_process.kernels.ConstantKernel": _KERNEL,
    "sklearn.gaussian_process.kernels.DotProduct": _KERNEL,
    "sklearn.gaussian_process.kernels.Matern": _KERNEL,
    "sklearn.gaussian_process.kernels.Product": _KERNEL,
    "sklearn.gaussian_process.kernels.RBF": _KERNEL,
    "sklearn.gaussian_process.kernels.RationalQuadratic": _KERNEL,
    "sklearn.gaussian_process.kernels.Sum": _KERNEL,
    "sklearn.gaussian_process.kernels.WhiteKernel": _KERNEL,
    "sklearn.metrics._dist_metrics.EuclideanDistance64": _METRIC_STATE,
    "sklearn.metrics._dist_metrics.ManhattanDistance64": _METRIC_STATE,
    "sklearn.metrics._dist_metrics.MinkowskiDistance64": _METRIC_STATE,
    "sklearn.neighbors._ball_tree.BallTree": _NEIGHBOUR_STATE,
    "sklearn.neighbors._kd_tree.KDTree": _NEIGHBOUR_STATE,
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer": "Plain attributes: numbers and arrays.",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer": "Plain attributes: numbers and arrays.",
    "sklearn.tree._tree.Tree": _TREE_STATE,
}


def unreviewed(types: Iterable[str]) -> list[str]:
    """Those of the types that nobody has reviewed, sorted."""
    return sorted(set(types) - REVIEWED_TYPES.keys())
