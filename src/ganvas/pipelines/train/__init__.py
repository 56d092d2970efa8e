"""Training: from a packed collection to a generator and a discriminator."""
