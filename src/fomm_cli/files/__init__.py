"""Files as files: written whole, cached, hashed, told apart, downloaded."""
