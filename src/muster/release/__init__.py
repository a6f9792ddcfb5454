"""Governance: which versions may answer at an endpoint, who agreed to it, and what is current.

A release is proposed, passes the go-live gate, is switched to in two phases and can be rolled back to; the planner compiles
it into the serving plan that fronts follow. Acceptance, the gate of a version, is here too. Knows the registry, access,
the journal and the publication board; it never speaks to a front, but publishes and hears reports. A workflow product
with approvals could take its place, if it compiles the same plans.
"""
