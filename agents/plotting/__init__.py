"""Plots of runs, drawn as images."""
