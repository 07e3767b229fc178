"""The work behind each command: media in, networks, media out."""
