"""What two processes must agree on: bytes on the streams, the event table, settings, process manners.

A module is admitted here only when at least two of collector, enricher, loader and cli use it. Nothing here
imports a process.
"""
