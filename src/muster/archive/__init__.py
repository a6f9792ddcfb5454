"""What happened to each request: written by fronts, read by many.

A front appends decision records to segments in its spool before it replies; closed segments become open Parquet, one
file per endpoint and segment, and leave the spool. A reader finds one request by its id, the last ones of an endpoint,
or every member of a host's batch, wherever they lie. The room knows files and the record format of `wire.records`, and
neither models nor the database. A stream such as Kafka could replace the spool without touching the Parquet side.
"""
