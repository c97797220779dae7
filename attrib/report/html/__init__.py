"""The page: templates, static files, and the geometry of its charts."""
