"""The commands: options to a job, the result to lines. A file each."""
