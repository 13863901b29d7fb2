"""The REST edge: thin translations between HTTP and the service."""
