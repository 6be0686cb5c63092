"""Attribution: maps of what drives a score, of each pixel and channel or of an activation. METHODS lists them."""
