"""The shared language: tables, events, workflow documents, jobs, API bodies. No I/O."""
