"""What the control plane tells the fronts: numbered publications of serving plans and the access list.

Knows storage and the wire documents, not what they mean. Services publish inside their own transaction; the control API
hands fronts what is newer than they have. A message broker with retained messages could take its place.
"""
