"""`fomm study`: which pictures animate well, measured."""
