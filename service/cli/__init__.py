"""The `hookwright` command: one module per command group."""
