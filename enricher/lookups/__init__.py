"""The answering side of what enrichments ask: connections, limits and memories. Enrichments never import this."""
