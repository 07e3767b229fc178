"""Repeat the students' study of which images animate well; it may import every room below the commands."""
