"""What came of a study: records, front, finalists, ranking, tables, and their files."""
