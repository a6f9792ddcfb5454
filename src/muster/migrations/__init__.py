"""The database's schema through time: Alembic migrations over the tables of every room.

Knows every room's tables and storage; only the doors that start things know it. A migration adds; it never destroys
what was recorded.
"""
