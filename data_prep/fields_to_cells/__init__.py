"""All fields of a folder -> a table of cells and their crops; one_field.py treats one, all_fields.py many."""
