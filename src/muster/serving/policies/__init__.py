"""Policies: given the answers so far and the time that has passed, answer or wait until when.

Each is a small pure class with `choose`; same arguments, same decision. None knows of sockets, clocks or plans. `compiled` makes
one from what a plan says, and `policy_problems` says what is wrong with that before there is a plan.
"""
