"""Single cells: which are used and why others are not, how large a crop is, and the crops themselves."""
