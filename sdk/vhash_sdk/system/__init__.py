"""What touches processes and files, and what is believed of text from outside; no module here knows of videos."""
