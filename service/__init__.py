"""The application: use cases, vendors, engine, storage, and its HTTP face and commands."""
