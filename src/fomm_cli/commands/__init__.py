"""The commands, one file each: options in, lines out."""
