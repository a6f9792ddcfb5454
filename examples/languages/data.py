"""The data of every churn example: `python examples/languages/data.py FOLDER` writes it as CSV, which any language reads.

    train.csv      5,043 customers, 19 inputs and, as the last column, `left`: 1 where the customer left, otherwise 0
    rows.csv       50 of them, inputs only: the golden rows; four have no `total_charges`
    new.csv        2,000 customers whom no model has seen, inputs only
    new_left.csv   what became of those: one column `left`

UTF-8, a header, commas, Unix line ends, no quotes: no text has a comma. Ten columns are text. Whole numbers (INT64) are
`female`, `senior_citizen`, `partner`, `dependents`, `tenure`, `phone_service` and `paperless_billing`; numbers with a fraction (FP64) are
`monthly_charges` and `total_charges`. An empty cell is null, which only `total_charges` ever is.
"""

import sys
from pathlib import Path

import pandas as pd

from muster.demo.customers import Customers, read_customers

GOLDEN_ROWS = 50
_WITHOUT_CHARGES = 4


def write(folder: Path) -> Path:
    """Write the four files; gives the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    customers = read_customers()
    training = customers.training.assign(left=customers.training_left)
    tables = {
        "train.csv": training,
        "rows.csv": golden_rows(customers),
        "new.csv": customers.new,
        "new_left.csv": pd.DataFrame({"left": customers.new_left}),
    }
    for name, table in tables.items():
        table.to_csv(folder / name, index=False, lineterminator="\n")
    return folder


def golden_rows(customers: Customers) -> pd.DataFrame:
    """Rows whose answers are looked at; some of them lack what may be missing."""
    missing = customers.training["total_charges"].isna()
    without = customers.training[missing].head(_WITHOUT_CHARGES)
    rows = customers.training[~missing].head(GOLDEN_ROWS - len(without))
    return pd.concat([rows, without], ignore_index=True)


def main() -> None:
    """Write to the folder that is named."""
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/languages/data.py FOLDER")
    folder = write(Path(sys.argv[1]))
    print(f"{folder}: train.csv, rows.csv, new.csv, new_left.csv")


if __name__ == "__main__":
    main()
