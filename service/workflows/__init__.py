"""The pure engine: documents, expressions, matching and the planner. No I/O."""
