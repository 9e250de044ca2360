"""Tests in a real browser: JupyterLab in Chromium."""
