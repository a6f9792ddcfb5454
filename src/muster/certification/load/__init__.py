"""What a host stands: requests by a schedule, rows per second, memory, the time until a fresh one has answered.

`open_loop` is the measurement, the other modules are the questions that certification asks with it.
"""
