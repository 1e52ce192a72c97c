"""A local stand-in for Kombo's API: a real server on loopback with believable data and scripted faults."""
