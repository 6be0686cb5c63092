"""What a network reproducibly uses that no measurement holds: how much, where, and which new measurement names it."""
