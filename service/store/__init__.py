"""All SQL, one module per family of tables."""
