"""The author's part: columns in, columns out."""

import math


def predict(columns, rows):
    found = []
    for row in range(rows):
        if columns["tenure"][row] is None:
            found.append(None)
            continue
        score = 0.9 - 0.06 * columns["tenure"][row] + (0.8 if columns["contract"][row] == "Month-to-month" else -0.9)
        found.append(1 / (1 + math.exp(-score)))
    return {"churn_probability": found}
