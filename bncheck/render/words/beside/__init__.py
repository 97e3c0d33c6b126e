"""Tables that stand beside that of the layers are told here, once for every format that people read."""
