"""Mark results as synthetic: metadata, an invisible mark, Content Credentials and a visible label."""
