"""The students' study, repeated: which images animate well. Reads from every other room."""
