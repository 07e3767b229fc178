"""The local web page of `fomm web`: its server, its API, and the processes that compute for it."""
