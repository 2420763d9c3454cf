"""The nearest mistakes, each with the check that must notice it."""

MUTATIONS = []
