"""Pictures, video and sound at the edges; knows neither networks nor the command line."""
