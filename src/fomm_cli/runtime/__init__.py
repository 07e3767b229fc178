"""Choose what the process runs on: device, precision, threads, signals."""
