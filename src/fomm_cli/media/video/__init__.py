"""Read and write video: decoder, timing, pixels, audio, trimming."""
