"""The Cramér–Rao bound of the charge pattern: how well a track's energy and angle can be known at best."""
