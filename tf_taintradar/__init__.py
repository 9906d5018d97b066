"""tf_taintradar."""
