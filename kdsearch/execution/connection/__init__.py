"""How a study reaches Ray: an address, or a private Ray; and how it notices that Ray has ended."""
