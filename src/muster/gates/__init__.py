"""Gates: where people say whether something may go on, and whose word counts.

The room knows what is judged as a name and a digest, and nothing of versions, releases or standards: the rooms above say who has
part in it, what the rule is, and what happens once the rule is met. Whether it is met is a pure function (`decision`) of the votes,
the people, the delegations and the time. Another engine of decisions could take its place without a change elsewhere.
"""
