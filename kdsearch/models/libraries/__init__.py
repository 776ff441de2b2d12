"""Networks and pretrained weights of other libraries, by name."""
