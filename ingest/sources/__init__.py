"""One file per provider; `ingest.source` finds them by their `SOURCES` tuple, nobody lists them."""
