"""The pages: what needs a person, a run with what can be decided on it. Without scripts."""
