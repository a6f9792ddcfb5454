"""What there is in a factory, ready to be searched: models, versions and endpoints with their facts, figures and words.

Each room enters its things here in the transaction in which it makes or changes them, so that what is found is never out of step with
what is. Knows access and storage, and nothing of the rooms above: to it, everything is an entry. A search server could take its place.
"""
