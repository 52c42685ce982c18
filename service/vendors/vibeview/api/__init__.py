"""VibeView's API, an area a module: what is asked, and what the answers are read as."""
