"""Tables of pads made from data: when each pad's pulses come, and how large they are."""
