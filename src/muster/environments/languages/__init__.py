"""The languages: one small class each. `known` is the only list of them."""
