"""The database: one schema on SQLite and PostgreSQL, transactions, nothing of any room's business.

Knows SQLAlchemy Core and the vocabulary. Rooms declare their tables on `schema.METADATA` and ask through their stores;
a service opens the transaction and is the only one that commits, once. Another SQL database could take its place.
"""
