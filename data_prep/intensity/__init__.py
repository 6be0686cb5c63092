"""What makes intensities of fields comparable: uneven illumination removed, background and reference measured."""
