"""Processes, files and foreign text: what is done with them; no module here knows of videos."""
