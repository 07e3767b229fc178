"""Reading and writing video: decoder, timing, pixels, audio, trimming."""
