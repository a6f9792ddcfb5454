"""Hosts as the serving side sees them: the keeper that owns them, and a front's links to the keeper and to each host."""
