"""Profiles of tables: exact bins, quantiles, categories and nulls of every field, which can be counted into again and added up.

Pure computation on NumPy arrays, the same in the lab and in the factory; the document is `wire.profiles`.
"""
