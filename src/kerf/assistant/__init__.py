"""A sentence becomes a plan of verbs; the plan runs after a yes; answers quote what was measured."""
