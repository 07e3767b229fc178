"""Read and write images, video and audio; this room knows neither networks nor the command line."""
