"""The subnet example for hermtk."""
