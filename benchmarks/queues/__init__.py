"""Ways to queue on PostgreSQL, held against each other."""
