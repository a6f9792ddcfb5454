"""Who may do what: users, their roles in each project, their tokens.

Knows storage, the journal and the publication board. Every door asks `Access.identify` who calls and hands a `Call`
down; every service asks for a right before it changes anything. The fronts never come here: they follow the access list
that every change publishes. An identity provider could take its place.
"""
