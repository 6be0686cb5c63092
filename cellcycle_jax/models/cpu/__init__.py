"""What makes convolutions quick on a CPU; an author of architectures need not open it."""
