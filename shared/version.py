"""The version of evnt: the only place that states it. Packaging reads it from here."""

VERSION = "0.1.0"
