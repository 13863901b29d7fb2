"""Media files with damage: made, and heard as the service hears them."""
