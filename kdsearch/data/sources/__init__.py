"""Where data come from, and what each source hands on."""
