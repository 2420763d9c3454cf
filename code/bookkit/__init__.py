"""What builders of the book use: environments, execution, staleness, site. Readers import ``dlkb``."""
