"""Fetching schema documents from Iglu registries: what enricher, loader and command line agree on."""
