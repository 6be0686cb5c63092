"""Pictures of results: the style that all share, galleries of cells, scatters of measurements, figures of maps."""
