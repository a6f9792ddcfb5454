"""`muster up`: one process that starts the others, starts them again when they end, and ends them in order.

Knows processes, sockets and files, nothing of what the processes do. systemd or Kubernetes can take its place.
"""
