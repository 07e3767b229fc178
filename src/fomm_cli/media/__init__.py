"""Images, video and audio at the edges; knows neither networks nor the command line."""
