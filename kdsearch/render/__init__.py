"""Tables for a person: a study's front, ranking and samples, and what kdsearch offers."""
