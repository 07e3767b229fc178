"""`fomm batch`: many pairs of source and driving video, on one machine or many. Only `worker` needs torch."""
