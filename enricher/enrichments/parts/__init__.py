"""Pure pieces that several enrichments are made of. Nothing here is an enrichment."""
