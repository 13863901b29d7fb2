"""The web page: files that a browser runs, and the routes that hand them out."""
