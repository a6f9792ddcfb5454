"""What the benchmarks are made of: contenders in their own processes, loads, measurements, and the report.

Nothing here is part of the product. Every process that is started is ended by its id, also after Ctrl-C.
"""
