"""Training of the bundled network: synthetic scenes, real cases, click simulation, loop."""
