"""Marks that say a result is synthetic: metadata, an invisible mark, Content Credentials and a visible label."""
