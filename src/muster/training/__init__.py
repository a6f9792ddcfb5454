"""What versions were made of: the data sources that an admin registered by name, and the profiles of training data.

Only what lies below a registered source is ever fetched; every other address that a bundle names is recorded as declared.
"""
