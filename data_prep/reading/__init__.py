"""Files to pixels and what is known of them: formats, file names, tables beside the fields, label images."""
