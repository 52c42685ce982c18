"""The queue face of the application: broker, actors, scheduler."""
