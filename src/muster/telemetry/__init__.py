"""What processes say about themselves: structured logs, metrics as text, and the spans of traces.

Knows the vocabulary only; what is counted, and what a span is about, the rooms above say. Any collector of JSON lines, any
Prometheus and any OpenTelemetry collector can take it from here.
"""
