"""What leaves a study: students that load anywhere, and the report's files."""

from kdsearch.export.student import Student, load_student, save_student

__all__ = ["Student", "load_student", "save_student"]
