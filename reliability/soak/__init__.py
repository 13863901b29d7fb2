"""Mixed load on a real service for a long time, and what that does to it; ``python -m reliability.soak`` tells."""
