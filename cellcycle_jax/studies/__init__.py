"""Studies: runs that differ in some fields, trained together where they may be one program, scored and compared."""
