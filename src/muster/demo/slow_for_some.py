"""A model of the lab's own making, with a fault that its golden rows do not show: it is slow for some customers.

No part of Muster imports this: the demo copies the file into its lab, and `muster.save` takes it into a bundle from there. It runs
in the bundle's environment, which knows nothing of Muster.
"""

import time
from collections.abc import Mapping
from typing import Any

import pandas as pd


class SlowForSome:
    """Asks another model, and dawdles over customers who pay in one way and have not been here for long.

    Args:
        model: a fitted classifier that takes a DataFrame.
        payment_method: of the customers that it is slow for.
        tenure: these customers have been here for so many months at most.
        delay_s: how long each of them takes.
    """

    def __init__(self, model: Any, payment_method: str, tenure: int, delay_s: float) -> None:
        self.model = model
        self.payment_method = payment_method
        self.tenure = tenure
        self.delay_s = delay_s

    def predict(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        """The probability that each customer leaves.

        Args:
            columns: name → values, one per customer.
        """
        customers = pd.DataFrame(dict(columns))
        is_slow = (customers["payment_method"] == self.payment_method) & (customers["tenure"] <= self.tenure)
        # As if each of these customers had to be looked up in an old system.
        time.sleep(self.delay_s * int(is_slow.sum()))
        return {"churn_probability": self.model.predict_proba(customers)[:, 1]}
