"""What the process runs on: device, precision, threads, signals."""
