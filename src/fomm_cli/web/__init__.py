"""Serve the local web page of `fomm web`: server, API, and the processes that compute for it."""
