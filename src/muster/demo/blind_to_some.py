"""A model of the lab's own making, with a fault that its average hides: it knows nothing of some customers.

No part of Muster imports this: the demo copies the file into its lab, and `muster.save` takes it into a bundle from there. It runs
in the bundle's environment, which knows nothing of Muster.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd


class BlindToSome:
    """Asks another model, but not about customers who pay in one way: as if a join had lost what is known of them.

    Args:
        model: a fitted classifier that takes a DataFrame.
        payment_method: of the customers whom it knows nothing of.
        share: what it says of each of them.
    """

    def __init__(self, model: Any, payment_method: str, share: float) -> None:
        self.model = model
        self.payment_method = payment_method
        self.share = share

    def predict(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        """The probability that each customer leaves.

        Args:
            columns: name → values, one per customer.
        """
        customers = pd.DataFrame(dict(columns))
        is_unknown = (customers["payment_method"] == self.payment_method).to_numpy()
        return {"churn_probability": np.where(is_unknown, self.share, self.model.predict_proba(customers)[:, 1])}
